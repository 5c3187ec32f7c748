/* SPDX-License-Identifier: MIT */
/*
 * list64.h - the system calls of x86-64 this kernel serves: SYS(number, handler), as in list32.h, with the same handlers:
 * they ask abi_64() where words and structures differ. Times have 64 bits, so the handlers of i386's time64 calls serve.
 */
/* processes */
SYS_FREE(39, getpid) SYS(56, clone) SYS(57, fork) SYS(58, vfork) SYS(59, execve) SYS(60, exit) SYS(61, wait4)
SYS(109, setpgid) SYS_FREE(110, getppid) SYS_FREE(111, getpgrp) SYS(112, setsid) SYS_FREE(121, getpgid) SYS_FREE(124, getsid)
SYS_FREE(158, arch_prctl) SYS_FREE(186, gettid) SYS_FREE(218, set_tid_address) SYS(231, exit_group) SYS(247, waitid)
SYS_FREE(273, set_robust_list) SYS(424, pidfd_send_signal) SYS(434, pidfd_open) SYS(438, pidfd_getfd)
SYS(448, process_mrelease) SYS(435, clone3) SYS(272, unshare)
/* who we are */
SYS_FREE(102, zero) SYS_FREE(104, zero) SYS_FREE(105, set_id) SYS_FREE(106, set_id) SYS_FREE(107, zero) SYS_FREE(108, zero)
SYS_FREE(113, set_two_ids) SYS_FREE(114, set_two_ids) SYS_FREE(115, zero) SYS_FREE(116, setgroups) SYS_FREE(117, set_three_ids)
SYS_FREE(118, getresuid) SYS_FREE(119, set_three_ids) SYS_FREE(120, getresuid) SYS_FREE(122, zero) SYS_FREE(123, zero)
SYS(125, capget) SYS(126, capset)
/* limits, scheduling, the machine */
SYS_FREE(24, sched_yield) SYS_FREE(63, uname) SYS(97, ugetrlimit) SYS(98, getrusage) SYS(99, sysinfo) SYS(167, swapon) SYS(168, swapoff) SYS(135, personality)
SYS_FREE(140, getpriority) SYS_FREE(141, ok) SYS_FREE(142, ok) SYS_FREE(143, sched_getparam) SYS_FREE(144, ok) SYS_FREE(145, zero) SYS_FREE(146, zero)
SYS_FREE(147, zero) SYS(157, prctl) SYS(160, setrlimit) SYS(169, reboot) SYS_FREE(202, futex_time64) SYS(203, sched_setaffinity) SYS_FREE(309, getcpu)
SYS(204, sched_getaffinity) SYS(302, prlimit64) SYS(318, getrandom)
/* memory */
SYS_FREE(9, mmap) SYS_FREE(10, mprotect) SYS_FREE(329, pkey_mprotect) SYS_FREE(330, pkey_alloc) SYS_FREE(331, pkey_free)
SYS_FREE(11, munmap) SYS_FREE(12, brk) SYS_FREE(25, mremap) SYS_FREE(26, msync) SYS_FREE(28, madvise)
SYS_FREE(27, mincore) SYS_FREE(149, mlock) SYS_FREE(150, munlock) SYS_FREE(151, mlockall) SYS_FREE(152, munlockall)
SYS(323, userfaultfd) SYS_FREE(29, shmget) SYS_FREE(30, shmat) SYS_FREE(31, shmctl) SYS_FREE(67, shmdt)
SYS_FREE(216, remap_file_pages) SYS(319, memfd_create) SYS(310, process_vm_readv) SYS(311, process_vm_writev) SYS_FREE(325, mlock2)
/* signals */
SYS(13, rt_sigaction) SYS(14, rt_sigprocmask) SYS(15, rt_sigreturn) SYS(34, pause) SYS(62, kill)
SYS(127, rt_sigpending) SYS(128, rt_sigtimedwait_time64) SYS(130, rt_sigsuspend) SYS(131, sigaltstack) SYS(200, tkill)
SYS(234, tgkill)
/* time */
SYS_FREE(35, nanosleep) SYS(36, getitimer) SYS(37, alarm) SYS(38, setitimer) SYS_FREE(96, gettimeofday) SYS(100, times)
SYS_FREE(201, time) SYS(219, restart_syscall) SYS_FREE(228, clock_gettime64) SYS_FREE(229, clock_getres_time64)
SYS_FREE(230, clock_nanosleep_time64)
/* open files */
SYS_FILES(0, read) SYS_FILES(1, write) SYS_FILES(8, lseek) SYS_FILES(16, ioctl) SYS_FILES(17, pread64) SYS_FILES(18, pwrite64) SYS_FILES(19, readv)
SYS_FILES(20, writev) SYS_FILES(40, sendfile64) SYS_FILES(74, fsync) SYS_FILES(75, fsync) SYS_FREE(162, sync) SYS_FILES(187, readahead) SYS_FILES(221, fadvise64)
SYS_FILES(277, sync_file_range) SYS_FILES(306, syncfs)
SYS_FILES(295, preadv) SYS_FILES(296, pwritev) SYS_FILES(327, preadv2) SYS_FILES(328, pwritev2)
/* descriptors */
SYS_FILES(73, flock) SYS(2, open) SYS_FILES(3, close) SYS_FILES(22, pipe) SYS_FILES(32, dup) SYS_FILES(33, dup2) SYS_FILES(72, fcntl) SYS(85, creat)
SYS(257, openat) SYS_FILES(292, dup3) SYS_FILES(293, pipe2) SYS_FILES(436, close_range) SYS(437, openat2)
/* waiting for several */
SYS(213, epoll_create) SYS(232, epoll_wait) SYS(233, epoll_ctl) SYS(281, epoll_pwait) SYS(284, eventfd) SYS(290, eventfd2)
SYS(291, epoll_create1) SYS(441, epoll_pwait2)
SYS_FILES(7, poll) SYS_FILES(23, select) SYS(270, pselect6_time64) SYS(271, ppoll_time64)
/* sockets */
SYS(41, socket) SYS(44, sendto) SYS(45, recvfrom) SYS(46, sendmsg) SYS(47, recvmsg) SYS(48, shutdown) SYS(53, socketpair)
SYS(55, getsockopt)
/* looking at names */
SYS(4, stat) SYS(5, fstat) SYS(6, lstat) SYS(21, access) SYS(78, getdents) SYS(79, getcwd) SYS(89, readlink)
SYS(137, statfs) SYS(138, fstatfs) SYS(217, getdents64) SYS(262, fstatat) SYS(267, readlinkat) SYS(269, faccessat)
SYS(332, statx) SYS(439, faccessat2)
/* changing names and attributes */
SYS(76, truncate) SYS(77, ftruncate) SYS(80, chdir) SYS(81, fchdir) SYS(82, rename) SYS(83, mkdir) SYS(84, rmdir)
SYS(86, link) SYS(87, unlink) SYS(88, symlink) SYS(90, chmod) SYS(91, fchmod) SYS(92, chown) SYS(93, fchown)
SYS(94, lchown) SYS(95, umask) SYS(132, utime) SYS(133, mknod) SYS(235, utimes) SYS(258, mkdirat) SYS(259, mknodat)
SYS(260, fchownat) SYS(263, unlinkat) SYS(264, renameat) SYS(265, linkat) SYS(266, symlinkat) SYS(268, fchmodat)
SYS_FILES(285, fallocate) SYS(280, utimensat_time64) SYS(316, renameat2)
