/* SPDX-License-Identifier: MIT */
/*
 * libc.c - what the tests and the hosted port use of a C library beside memory: strings, text output, locks that a single
 * processor gets for nothing. What needs a second thread or process skips the test. The prototypes are those of the
 * host's own headers, so a wrong one does not compile.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"

int x86_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/* ---- strings ---- */

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; n--)
		a++, b++;
	return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, (size_t)-1);
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)(uintptr_t)s;
}

char *strstr(const char *s, const char *word)
{
	for (; strncmp(s, word, strlen(word)); s++)
		if (!*s)
			return NULL;
	return (char *)(uintptr_t)s;
}

size_t strcspn(const char *s, const char *stop)
{
	size_t n = 0;

	while (s[n] && !strchr(stop, s[n]))
		n++;
	return n;
}

size_t strspn(const char *s, const char *good)
{
	size_t n = 0;

	while (s[n] && strchr(good, s[n]))
		n++;
	return n;
}

char *strncpy(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = *from;
		from += *from != 0;
	}
	return to;
}

char *strcpy(char *to, const char *from)
{
	return memcpy(to, from, strlen(from) + 1);
}

static const char *after_space(const char *s)
{
	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	return s;
}

long strtol(const char *s, char **end, int base)
{
	long value = 0;

	if (base != 10)
		cell_fail("strtol() knows base 10 only");
	s = after_space(s);
	for (; *s >= '0' && *s <= '9'; s++)
		value = value * 10 + (*s - '0');
	if (end)
		*end = (char *)(uintptr_t)s;
	return value;
}

unsigned long strtoul(const char *s, char **end, int base)
{
	return (unsigned long)strtoull(s, end, base);
}

unsigned long long strtoull(const char *s, char **end, int base)
{
	unsigned long long value = 0;

	if (base != 10)
		cell_fail("strtoull() knows base 10 only");
	s = after_space(s);
	for (; *s >= '0' && *s <= '9'; s++)
		value = value * 10 + (unsigned)(*s - '0');
	if (end)
		*end = (char *)(uintptr_t)s;
	return value;
}

/* ---- text ---- */

FILE *stdout, *stderr;

int snprintf(char *buf, size_t size, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = x86_vsnprintf(buf, size, format, ap);
	va_end(ap);
	return n;
}

static int print(const char *format, va_list ap)
{
	char line[512];
	int n = x86_vsnprintf(line, sizeof(line), format, ap);

	cell_print(line);
	return n;
}

int printf(const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = print(format, ap);
	va_end(ap);
	return n;
}

int fprintf(FILE *file, const char *format, ...)
{
	va_list ap;
	int n;

	(void)file;
	va_start(ap, format);
	n = print(format, ap);
	va_end(ap);
	return n;
}

int fputs(const char *text, FILE *file)
{
	(void)file;
	cell_print(text);
	return 0;
}

size_t fwrite(const void *bytes, size_t size, size_t nr, FILE *file)
{
	(void)file;
	for (size_t i = 0; i < size * nr; i++)
		cell_print((char[]){ ((const char *)bytes)[i], 0 });
	return nr;
}

/* There are no files of that kind. */
FILE *fopen(const char *path, const char *mode)
{
	(void)path;
	(void)mode;
	return NULL;
}

int fscanf(FILE *file, const char *format, ...)
{
	(void)file;
	(void)format;
	return EOF;
}

int fclose(FILE *file)
{
	(void)file;
	return EOF;
}

/* ---- process ---- */

char *getenv(const char *name)
{
	(void)name;
	return NULL;
}

void abort(void)
{
	cell_fail("abort()");
}

__sighandler_t signal(int number, __sighandler_t handler)
{
	if (number != SIGSEGV && number != SIGBUS)
		cell_skip("needs signals");
	cell_on_segv = handler == SIG_DFL ? NULL : handler;
	return SIG_DFL;
}

pid_t fork(void)
{
	cell_skip("needs processes");
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	(void)pid;
	(void)status;
	(void)options;
	cell_skip("needs processes");
}

void _exit(int status)
{
	(void)status;
	cell_fail("_exit()");
}

int usleep(useconds_t us)
{
	(void)us;
	cell_skip("needs other threads");
}

/* ---- threads: there is one ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
	(void)thread;
	(void)attr;
	(void)fn;
	(void)arg;
	cell_skip("needs threads");
}

int pthread_join(pthread_t thread, void **result)
{
	(void)thread;
	(void)result;
	cell_skip("needs threads");
}

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
	(void)mutex;
	(void)attr;
	return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int pthread_cond_init(pthread_cond_t *restrict cond, const pthread_condattr_t *restrict attr)
{
	(void)cond;
	(void)attr;
	return 0;
}

int pthread_cond_destroy(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

int pthread_cond_wait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex)
{
	(void)cond;
	(void)mutex;
	cell_skip("would wait for another thread");
}

int sched_yield(void)
{
	return 0;
}
