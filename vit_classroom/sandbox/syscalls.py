"""The system calls that a submission cannot make, as a seccomp filter of libseccomp.

Namespaces keep files, processes and the network apart, and limits bound what is counted. This
closes what they leave open: memory that is not counted (memfd, System V), other kinds of network
(vsock, Bluetooth), the kernel's key rings, and calls that only an attack on the kernel needs.
"""

import errno
import socket
import tempfile

REFUSED = (
    # Memory that belongs to no process, or that another process maps.
    *("memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "msgget", "semget"),
    *("mq_open", "userfaultfd", "process_vm_readv", "process_vm_writev", "remap_file_pages"),
    # Key rings, which are the teacher's session's.
    *("keyctl", "add_key", "request_key"),
    # Large parts of the kernel that no lesson needs.
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "ptrace"),
    *("fanotify_init", "open_by_handle_at", "name_to_handle_at", "kcmp", "pidfd_getfd"),
    *("unshare", "setns", "clone3", "mount", "umount2", "pivot_root", "chroot", "move_mount"),
    *("open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "swapon"),
    *("kexec_load", "init_module", "finit_module", "delete_module", "reboot", "acct", "quotactl"),
    *("syslog", "personality", "iopl", "ioperm", "vhangup", "nfsservctl", "lookup_dcookie"),
)
# clone3 hides its flags from a filter. libc then uses clone, as on older kernels.
ABSENT = ("clone3", "memfd_create")
NEW_NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
MISSING = (
    "Without a seccomp filter a submission can hold memory that is not counted (memfd, System V), "
    "open sockets that leave the sandbox (vsock), and reach your session's key ring. Install the "
    "library libseccomp (Debian: libseccomp2) and python -m pip install pyseccomp."
)


def missing() -> str | None:
    """Which promise falls, and what to install, where there is no libseccomp; else None."""
    try:
        import pyseccomp  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return MISSING
    return None


def filter_program() -> bytes:
    """The filter as the kernel reads it, for inner.install_filter. Empty without libseccomp:
    `missing` says so to the teacher."""
    if missing():
        return b""
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    denied, absent = seccomp.ERRNO(errno.EPERM), seccomp.ERRNO(errno.ENOSYS)
    for name in REFUSED:
        try:
            number = seccomp.resolve_syscall(seccomp.system_arch(), name)
        except (OSError, ValueError, RuntimeError):
            continue  # a call that this kind of processor has not
        if number >= 0:
            rules.add_rule(absent if name in ABSENT else denied, number)
    for flag in NEW_NAMESPACES:
        rules.add_rule(denied, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    highest = max(FAMILIES)
    for call in ("socket", "socketpair"):
        rules.add_rule(denied, call, seccomp.Arg(0, seccomp.GT, highest))
        for family in set(range(highest)) - set(FAMILIES):
            rules.add_rule(denied, call, seccomp.Arg(0, seccomp.EQ, family))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
