"""The last doors of a process that runs a user's code: the kernel's limits, and a list of the system calls allowed.

The namespaces around it (no files, no network, no other processes) are bubblewrap's; this is the second wall: whoever
breaks out of an engine finds a kernel that does next to nothing for him. Applied once, for all threads, and for good.
"""

import ctypes
import os
import platform
import resource
import struct

# Names are those of both architectures' tables; a number that one of them lacks is left out.
_NUMBERS = {
    "x86_64": {
        "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
        "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20, "access": 21, "sched_yield": 24, "mremap": 25,
        "mincore": 27, "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "clone": 56, "exit": 60, "uname": 63,
        "fcntl": 72, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98,
        "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110,
        "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
        "set_tid_address": 218, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "openat": 257, "newfstatat": 262, "readlinkat": 267,
        "faccessat": 269, "ppoll": 271, "set_robust_list": 273, "prlimit64": 302, "getrandom": 318, "membarrier": 324,
        "statx": 332, "rseq": 334, "clone3": 435, "faccessat2": 439,
    },
    "aarch64": {
        "getcwd": 17, "dup": 23, "fcntl": 25, "faccessat": 48, "openat": 56, "close": 57, "getdents64": 61,
        "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "ppoll": 73,
        "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "set_tid_address": 96,
        "futex": 98, "set_robust_list": 99, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114,
        "clock_nanosleep": 115, "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128,
        "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "times": 153,
        "uname": 160, "getrlimit": 163, "getrusage": 165, "gettimeofday": 169, "getpid": 172, "getppid": 173,
        "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179, "brk": 214,
        "munmap": 215, "mremap": 216, "clone": 220, "mmap": 222, "mprotect": 226, "mincore": 232, "madvise": 233,
        "prlimit64": 261, "getrandom": 278, "membarrier": 283, "statx": 291, "rseq": 293, "clone3": 435,
        "faccessat2": 439,
    },
}  # fmt: skip
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_FIRST_ARGUMENT, _SECOND_ARGUMENT = 16, 24  # offsets in struct seccomp_data: nr 0, arch 4, ip 8, args from 16
_CLONE_THREAD = 0x10000
_FCNTL = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: F_SETOWN could send signals

_LOAD, _EQUAL, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38


class Unsupported(Exception):
    """This machine's architecture has no table of system calls."""


def filter_program(machine: str) -> bytes:
    """The seccomp filter as BPF. What is not listed fails with EPERM; only threads of the own process are cloned,
    limits are read and set for oneself alone."""
    try:
        numbers = _NUMBERS[machine]
    except KeyError:
        raise Unsupported(machine) from None
    special = {"clone", "clone3", "fcntl", "prlimit64"}
    program = [
        _op(_LOAD, 0, 0, 4),
        _op(_EQUAL, 1, 0, _AUDIT[machine]),
        _op(_RETURN, 0, 0, _KILL),
        _op(_LOAD, 0, 0, 0),
        _op(_AT_LEAST, 0, 1, 0x40000000),  # the x32 table
        _op(_RETURN, 0, 0, _KILL),
    ]
    for name, number in numbers.items():
        if name not in special:
            program += [_op(_EQUAL, 0, 1, number), _op(_RETURN, 0, 0, _ALLOW)]
    program += [_op(_EQUAL, 0, 1, numbers["clone3"]), _op(_RETURN, 0, 0, _ERRNO | _ENOSYS)]  # so that clone is tried
    program += [
        _op(_EQUAL, 0, 3, numbers["clone"]),
        _op(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _op(_HAS, 0, 1, _CLONE_THREAD),
        _op(_RETURN, 0, 0, _ALLOW),
        _op(_LOAD, 0, 0, 0),
        _op(_EQUAL, 0, 3, numbers["prlimit64"]),
        _op(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _op(_EQUAL, 0, 1, 0),
        _op(_RETURN, 0, 0, _ALLOW),
        _op(_LOAD, 0, 0, 0),
        _op(_EQUAL, 0, 1 + 2 * len(_FCNTL), numbers["fcntl"]),
        _op(_LOAD, 0, 0, _SECOND_ARGUMENT),
    ]
    for command in _FCNTL:
        program += [_op(_EQUAL, 0, 1, command), _op(_RETURN, 0, 0, _ALLOW)]
    program.append(_op(_RETURN, 0, 0, _ERRNO | _EPERM))
    return b"".join(program)


def _op(code: int, if_true: int, if_false: int, constant: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, constant)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def forbid_system_calls() -> None:
    """From here on, for every thread of this process, only the listed calls. Raises OSError, Unsupported."""
    machine = platform.machine()
    instructions = filter_program(machine)
    program = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, seccomp_set_mode_filter, for_all_threads = 38, 1, 1
    if libc.prctl(set_no_new_privileges, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    call = ctypes.c_long(_SECCOMP[machine])
    if libc.syscall(call, seccomp_set_mode_filter, for_all_threads, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def limit(*, memory: int, cpu_seconds: int, address_space: bool) -> None:
    """Limits of this process. `memory`: bytes beyond what it has now; `address_space`: whether V8, which reserves
    terabytes that it never touches, is not at home here."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (memory + _OWN, memory + _OWN))
    if address_space:
        resource.setrlimit(resource.RLIMIT_AS, (memory + _ADDRESSES, memory + _ADDRESSES))


_OWN = 64 * 1024 * 1024
"""Private memory of the interpreter itself, with room for a request and its answer."""
_ADDRESSES = 256 * 1024 * 1024
"""Address space of the interpreter with its libraries before any user's code: some 90 MB, and threads' stacks."""


def close_other_files(kept: int) -> None:
    """Every descriptor but `kept` and the standard streams (which lead nowhere)."""
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)
