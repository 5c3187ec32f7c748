/* SPDX-License-Identifier: MIT */
/*
 * list32.h - the system calls of i386 this kernel serves: SYS(number, handler). Included several times with different
 * meanings of SYS. Handlers marked SYS run under the kernel lock; SYS_FILES without it; SYS_FREE without it too, and they
 * look at no descriptor by file_arg(). A number that is not here returns ENOSYS. Several numbers share a handler where the
 * calls differ in nothing this kernel keeps (everybody is user 0).
 */
/* processes */
SYS(1, exit) SYS(2, fork) SYS(7, waitpid) SYS(11, execve) SYS_FREE(20, getpid) SYS(57, setpgid) SYS_FREE(64, getppid)
SYS_FREE(65, getpgrp) SYS(66, setsid) SYS(114, wait4) SYS(120, clone) SYS_FREE(132, getpgid) SYS_FREE(147, getsid)
SYS(190, vfork) SYS_FREE(224, gettid) SYS(252, exit_group) SYS_FREE(258, set_tid_address) SYS(284, waitid)
SYS_FREE(311, set_robust_list) SYS(424, pidfd_send_signal) SYS(434, pidfd_open) SYS(438, pidfd_getfd)
SYS(448, process_mrelease) SYS(435, clone3) SYS(310, unshare)
/* who we are */
SYS_FREE(23, set_id_16) SYS_FREE(24, zero) SYS_FREE(46, set_id_16) SYS_FREE(47, zero) SYS_FREE(49, zero) SYS_FREE(50, zero)
SYS_FREE(70, set_two_ids_16) SYS_FREE(71, set_two_ids_16) SYS_FREE(80, zero) SYS_FREE(81, setgroups_16) SYS(184, capget) SYS(185, capset)
SYS_FREE(199, zero) SYS_FREE(200, zero) SYS_FREE(201, zero) SYS_FREE(202, zero) SYS_FREE(203, set_two_ids) SYS_FREE(204, set_two_ids)
SYS_FREE(205, zero) SYS_FREE(206, setgroups) SYS_FREE(208, set_three_ids) SYS_FREE(209, getresuid) SYS_FREE(210, set_three_ids)
SYS_FREE(211, getresuid) SYS_FREE(213, set_id) SYS_FREE(214, set_id) SYS_FREE(215, zero) SYS_FREE(216, zero)
/* limits, scheduling, the machine */
SYS_FREE(34, ok) SYS(75, setrlimit) SYS(76, old_getrlimit) SYS(77, getrusage) SYS(87, swapon) SYS(88, reboot) SYS(115, swapoff) SYS_FREE(96, getpriority)
SYS_FREE(97, ok) SYS(116, sysinfo) SYS_FREE(122, uname) SYS(136, personality) SYS_FREE(154, ok) SYS_FREE(155, sched_getparam)
SYS_FREE(156, ok) SYS_FREE(157, zero) SYS_FREE(158, sched_yield) SYS_FREE(159, zero) SYS_FREE(160, zero) SYS(172, prctl)
SYS(191, ugetrlimit) SYS_FREE(240, futex) SYS(241, sched_setaffinity) SYS_FREE(318, getcpu) SYS(242, sched_getaffinity) SYS_FREE(243, set_thread_area)
SYS(340, prlimit64) SYS(355, getrandom) SYS_FREE(422, futex_time64)
/* memory */
SYS_FREE(45, brk) SYS_FREE(90, old_mmap) SYS_FREE(91, munmap) SYS_FREE(125, mprotect) SYS_FREE(380, pkey_mprotect) SYS_FREE(381, pkey_alloc) SYS_FREE(382, pkey_free)
SYS_FREE(144, msync) SYS_FREE(163, mremap)
SYS_FREE(192, mmap2) SYS_FREE(219, madvise) SYS_FREE(150, mlock) SYS_FREE(151, munlock) SYS_FREE(152, mlockall)
SYS_FREE(153, munlockall) SYS_FREE(218, mincore) SYS_FREE(257, remap_file_pages) SYS_FREE(376, mlock2)
SYS(374, userfaultfd) SYS_FREE(117, ipc) SYS_FREE(395, shmget) SYS_FREE(396, shmctl) SYS_FREE(397, shmat) SYS_FREE(398, shmdt)
SYS(356, memfd_create) SYS(347, process_vm_readv) SYS(348, process_vm_writev)
/* signals */
SYS(29, pause) SYS(37, kill) SYS(48, signal) SYS(67, sigaction) SYS(72, sigsuspend) SYS(73, sigpending)
SYS(119, sigreturn) SYS(126, sigprocmask) SYS(173, rt_sigreturn) SYS(174, rt_sigaction) SYS(175, rt_sigprocmask)
SYS(176, rt_sigpending) SYS(177, rt_sigtimedwait) SYS(179, rt_sigsuspend) SYS(186, sigaltstack) SYS(238, tkill)
SYS(270, tgkill) SYS(421, rt_sigtimedwait_time64)
/* time */
SYS(0, restart_syscall) SYS_FREE(13, time) SYS(27, alarm) SYS(43, times) SYS_FREE(78, gettimeofday) SYS(104, setitimer)
SYS(105, getitimer) SYS_FREE(162, nanosleep) SYS_FREE(265, clock_gettime) SYS_FREE(266, clock_getres) SYS_FREE(267, clock_nanosleep)
SYS_FREE(403, clock_gettime64) SYS_FREE(406, clock_getres_time64) SYS_FREE(407, clock_nanosleep_time64)
/* open files */
SYS_FILES(3, read) SYS_FILES(4, write) SYS_FILES(19, lseek) SYS_FILES(54, ioctl) SYS_FILES(140, llseek) SYS_FILES(145, readv) SYS_FILES(146, writev)
SYS_FILES(180, pread64) SYS_FILES(181, pwrite64) SYS_FILES(187, sendfile) SYS_FILES(239, sendfile64) SYS_FREE(36, sync) SYS_FILES(118, fsync)
SYS_FILES(148, fsync) SYS_FILES(225, readahead) SYS_FILES(250, fadvise64) SYS_FILES(272, fadvise64_64) SYS_FILES(314, sync_file_range)
SYS_FILES(344, syncfs)
SYS_FILES(333, preadv) SYS_FILES(334, pwritev) SYS_FILES(378, preadv2) SYS_FILES(379, pwritev2)
/* descriptors */
SYS_FILES(143, flock) SYS(5, open) SYS_FILES(6, close) SYS(8, creat) SYS_FILES(41, dup) SYS_FILES(42, pipe) SYS_FILES(55, fcntl) SYS_FILES(63, dup2) SYS_FILES(221, fcntl)
SYS(295, openat) SYS_FILES(330, dup3) SYS_FILES(331, pipe2) SYS_FILES(436, close_range) SYS(437, openat2)
/* waiting for several */
SYS(254, epoll_create) SYS(255, epoll_ctl) SYS(256, epoll_wait) SYS(319, epoll_pwait) SYS(323, eventfd) SYS(328, eventfd2)
SYS(329, epoll_create1) SYS(441, epoll_pwait2)
SYS_FILES(82, old_select) SYS_FILES(142, select) SYS_FILES(168, poll) SYS(308, pselect6) SYS(309, ppoll) SYS(413, pselect6_time64)
SYS(414, ppoll_time64)
/* sockets */
SYS(102, socketcall) SYS(359, socket) SYS(360, socketpair) SYS(365, getsockopt) SYS(369, sendto) SYS(370, sendmsg)
SYS(371, recvfrom) SYS(372, recvmsg) SYS(373, shutdown)
/* looking at names */
SYS(33, access) SYS(85, readlink) SYS(99, statfs) SYS(100, fstatfs) SYS(106, stat) SYS(107, lstat) SYS(108, fstat)
SYS(141, getdents) SYS(183, getcwd) SYS(195, stat64) SYS(196, lstat64) SYS(197, fstat64) SYS(220, getdents64)
SYS(268, statfs64) SYS(269, fstatfs64) SYS(300, fstatat64) SYS(305, readlinkat) SYS(307, faccessat)
SYS(383, statx) SYS(439, faccessat2)
/* changing names and attributes */
SYS(9, link) SYS(10, unlink) SYS(12, chdir) SYS(14, mknod) SYS(15, chmod) SYS(16, lchown) SYS(30, utime)
SYS(38, rename) SYS(39, mkdir) SYS(40, rmdir) SYS(60, umask) SYS(83, symlink) SYS(92, truncate) SYS(93, ftruncate)
SYS(94, fchmod) SYS(95, fchown) SYS(133, fchdir) SYS(182, chown) SYS(193, truncate64) SYS(194, ftruncate64)
SYS(198, lchown) SYS(207, fchown) SYS(212, chown) SYS(271, utimes) SYS(296, mkdirat) SYS(297, mknodat)
SYS(298, fchownat) SYS(301, unlinkat) SYS(302, renameat) SYS(303, linkat) SYS(304, symlinkat) SYS(306, fchmodat)
SYS_FILES(324, fallocate) SYS(320, utimensat) SYS(353, renameat2) SYS(412, utimensat_time64)
