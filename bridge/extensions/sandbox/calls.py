"""The numbers of system calls on each machine, and which of them an extension has no use for."""

from typing import Final

X86_64: Final = "x86_64"
AARCH64: Final = "aarch64"

AUDIT_ARCH: Final = {X86_64: 0xC000003E, AARCH64: 0xC00000B7}

# Calls of the last years have one number everywhere (asm-generic/unistd.h).
_COMMON: Final = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "quotactl_fd": 443, "memfd_secret": 447, "process_mrelease": 448, "fchmodat2": 452,
    "setxattrat": 463, "removexattrat": 466,
    "open_tree_attr": 467, "file_setattr": 469,
}  # fmt: skip

NUMBERS: Final = {
    X86_64: {
        **_COMMON,
        "ioctl": 16, "fcntl": 72, "memfd_create": 319,
        "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
        "kill": 62, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71,
        "truncate": 76, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101,
        "syslog": 103, "utime": 132, "mknod": 133, "personality": 135, "setpriority": 141, "sched_setparam": 142,
        "sched_setscheduler": 144, "pivot_root": 155, "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164,
        "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170,
        "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179,
        "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
        "fremovexattr": 199, "tkill": 200, "sched_setaffinity": 203, "clock_settime": 227, "tgkill": 234,
        "utimes": 235, "mq_open": 240, "mq_unlink": 241, "kexec_load": 246, "add_key": 248, "request_key": 249,
        "keyctl": 250, "ioprio_set": 251, "migrate_pages": 256, "mknodat": 259, "fchownat": 260, "futimesat": 261,
        "fchmodat": 268, "unshare": 272, "utimensat": 280, "move_pages": 279, "rt_sigqueueinfo": 129,
        "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "fanotify_init": 300, "prlimit64": 302,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "sched_setattr": 314,
        "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    },
    AARCH64: {
        **_COMMON,
        "fcntl": 25, "ioctl": 29, "memfd_create": 279,
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
        "ioprio_set": 30, "mknodat": 33, "umount2": 39, "mount": 40, "pivot_root": 41, "truncate": 45, "chroot": 51,
        "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "quotactl": 60, "utimensat": 88, "acct": 89,
        "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106,
        "clock_settime": 112, "syslog": 116, "ptrace": 117, "sched_setparam": 118, "sched_setscheduler": 119,
        "sched_setaffinity": 122, "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138,
        "setpriority": 140, "reboot": 142, "sethostname": 161, "setdomainname": 162, "settimeofday": 170,
        "adjtimex": 171, "mq_open": 180, "mq_unlink": 181, "msgget": 186, "msgctl": 187, "msgrcv": 188, "msgsnd": 189,
        "semget": 190, "semctl": 191, "semop": 193, "shmget": 194, "shmctl": 195, "shmat": 196, "socket": 198,
        "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "execve": 221, "swapon": 224, "swapoff": 225,
        "migrate_pages": 238, "move_pages": 239, "rt_tgsigqueueinfo": 240, "perf_event_open": 241,
        "prlimit64": 261, "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265,
        "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
        "finit_module": 273, "sched_setattr": 274, "bpf": 280, "execveat": 281, "userfaultfd": 282,
        "kexec_file_load": 294,
    },
}  # fmt: skip

LANDLOCK: Final = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
SECCOMP: Final = {X86_64: 317, AARCH64: 277}

NEVER: Final = (
    # other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
    "process_madvise", "process_mrelease", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tkill", "setpriority",
    "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "ioprio_set", "migrate_pages",
    "move_pages", "perf_event_open",
    # mounts and namespaces
    "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "open_tree_attr", "unshare", "setns", "personality",
    # the kernel itself
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "userfaultfd", "add_key", "request_key", "keyctl",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "acct", "quotactl", "quotactl_fd", "syslog", "iopl", "ioperm", "settimeofday", "clock_settime", "adjtimex",
    "clock_adjtime", "sethostname", "setdomainname", "fanotify_init", "name_to_handle_at", "open_by_handle_at",
    # files by path, which Landlock does not look at, or did not always
    "truncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime",
    "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr",
    "fremovexattr", "setxattrat", "removexattrat", "file_setattr", "mknod", "mknodat",
    # what processes of one user share without a file
    "shmget", "shmat", "shmctl", "semget", "semop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open",
    "mq_unlink", "memfd_secret",
)  # fmt: skip
"""Refused with EPERM, whatever the arguments."""

STARTS: Final = ("fork", "vfork", "execveat", "memfd_create")
"""Refused unless it may run programs, whose memory nobody counts either: what a file without a name holds is no
process's. `clone` and `execve` are looked at more closely."""

F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETPIPE_SZ = 8, 10, 15, 1031
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902
OF_DESCRIPTORS: Final = {"fcntl": (F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETPIPE_SZ), "ioctl": (FIOSETOWN, SIOCSPGRP)}
"""Their second argument must not be one of these: a descriptor sends its owner any signal, be that another process;
and what all pipes of a user may hold is counted together."""
