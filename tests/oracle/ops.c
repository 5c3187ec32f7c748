/* SPDX-License-Identifier: MIT */
/* ops.c - the names of the steps and of their operands (step.h). */
#include "oracle/step.h"

const struct op_info oracle_ops[OP_NR] = {
	[OP_MMAP] = { "mmap", "alpmfos" }, [OP_MUNMAP] = { "munmap", "al" }, [OP_MPROTECT] = { "mprotect", "alp" },
	[OP_MREMAP] = { "mremap", "alnrts" }, [OP_BRK] = { "brk", "a" }, [OP_MADVISE] = { "madvise", "alv" },
	[OP_MLOCK] = { "mlock", "alv" }, [OP_MUNLOCK] = { "munlock", "al" }, [OP_MINCORE] = { "mincore", "al" },
	[OP_REMAP_PAGES] = { "remap_file_pages", "alpov" }, [OP_MLOCKALL] = { "mlockall", "v" }, [OP_MUNLOCKALL] = { "munlockall", "" },
	[OP_MSYNC] = { "msync", "alv" }, [OP_READ] = { "read", "al" }, [OP_WRITE] = { "write", "alv" }, [OP_EXEC] = { "exec", "a" },
	[OP_PREAD] = { "pread", "falo" }, [OP_COPYIN] = { "copyin", "al" }, [OP_PWRITE] = { "pwrite", "fov" }, [OP_PEEK] = { "peek", "wal" }, [OP_POKE] = { "poke", "walv" }, [OP_SEAL] = { "seal", "fv" }, [OP_SHMAT] = { "shmat", "favs" },
	[OP_SHMDT] = { "shmdt", "a" },
	[OP_FTRUNCATE] = { "ftruncate", "fo" },
	[OP_CLEAR_REFS] = { "clear_refs", "v" },
	[OP_FORK] = { "fork", "c" }, [OP_EXIT] = { "exit", "" }, [OP_RLIMIT] = { "rlimit", "vn" },
};
