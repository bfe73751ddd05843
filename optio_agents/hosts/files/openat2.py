"""`openat2(2)`: opening without waiting for a file system that an agent has mounted.

Python has no function for it. `open_near` opens a path beneath a directory in one call and never crosses into another
file system. `open_cached` opens a directory by what the kernel has cached of its path, and asks no file system. What
neither can do is left to a thread (see `deadline`). The call is missing before Linux 5.6 (5.12 for `open_cached`), and
refused by the default filters of older container engines: then directories are opened as ever, and files by
`beneath.open_file`.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
from struct import Struct

_MACHINES = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x")
_NUMBER: int | None = 437 if platform.machine() in _MACHINES else None
_NO_XDEV, _NO_MAGICLINKS, _BENEATH, _CACHED = 0x01, 0x02, 0x08, 0x20
_AT_FDCWD = -100
_AT_EMPTY_PATH, _AT_STATX_DONT_SYNC = 0x1000, 0x4000
_STATX_INO, _STATX_MNT_ID = 0x100, 0x1000
_STATX = Struct("=I28xQ96xIIQ")  # what is known, the inode, the device's two numbers, the mount
_STATX_SIZE = 256


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)
_openat2_call = _libc.syscall
_openat2_call.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_openat2_call.restype = ctypes.c_long
_knows_cached = hasattr(_libc, "statx")


def open_near(root: int, path: bytes, flags: int = 0) -> int | None:
    """Open an existing file for reading; `None` if that takes more than this call.

    Links that stay beneath `root` are followed. A FIFO or a device does not block. `flags` are further ones of open(2).
    """
    try:
        return open_beneath(root, path, flags)
    except OSError:
        return None


def open_beneath(root: int, path: bytes, flags: int = 0) -> int:
    """`open_near`, with the reason.

    Raises:
        OSError: `EXDEV`: the path leads out, or to another file system. `ENOSYS`: the call is missing here.
    """
    return _openat2(root, path, _FLAGS | flags, _NO_XDEV | _NO_MAGICLINKS | _BENEATH)


def status_beneath(root: int, name: str) -> os.stat_result:
    """The status of what has a name in an open directory, of the link if it is one.

    Raises:
        OSError: `EXDEV`: it is another file system's.
    """
    try:
        descriptor = _openat2(root, os.fsencode(name), _PATH, _NO_XDEV | _NO_MAGICLINKS | _BENEATH)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return os.lstat(name, dir_fd=root)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def open_cached(directory: str) -> tuple[int, tuple[int, int]]:
    """Open a directory (absolute, no link) as far as the kernel can do that without asking a file system.

    Returns:
        A descriptor that is good as a `dir_fd` only, and the directory's device and inode.

    Raises:
        BlockingIOError: it cannot.
        OSError: as the system says. `ENOSYS`: the call is missing here.
    """
    global _knows_cached
    if not _knows_cached:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        descriptor = _openat2(_AT_FDCWD, os.fsencode(directory), _PATH | os.O_DIRECTORY, _CACHED)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _knows_cached = False
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    try:
        return descriptor, _cached_identity(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _openat2(root: int, path: bytes, flags: int, resolve: int) -> int:
    global _NUMBER
    if b"\0" in path:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    code = errno.ENOSYS
    if _NUMBER is not None:
        how = _how(flags, resolve)
        descriptor: int = _openat2_call(_NUMBER, root, path, ctypes.byref(how), ctypes.sizeof(_How))
        if descriptor >= 0:
            return descriptor
        code = ctypes.get_errno()
        if code in (errno.ENOSYS, errno.EPERM):
            _NUMBER, code = None, errno.ENOSYS  # it will not work the next time either
    raise OSError(code, os.strerror(code))


@functools.cache
def _how(flags: int, resolve: int) -> _How:
    """Made once for each of the few combinations: the call only reads it."""
    return _How(flags, 0, resolve)


def _cached_identity(descriptor: int) -> tuple[int, int]:
    """Device and inode as the kernel has them; `fstat` would ask the file system."""
    _, inode, major, minor, _ = _cached_status(descriptor)
    return os.makedev(major, minor), inode


def mount_number(descriptor: int) -> int | None:
    """The number of the mount in which an open file lies, as in /proc/self/mountinfo. `None` before Linux 5.8."""
    if not hasattr(_libc, "statx"):
        return None
    known, *_, number = _cached_status(descriptor)
    return number if known & _STATX_MNT_ID else None


def _cached_status(descriptor: int) -> tuple[int, int, int, int, int]:
    status = ctypes.create_string_buffer(_STATX_SIZE)
    flags, wanted = _AT_EMPTY_PATH | _AT_STATX_DONT_SYNC, _STATX_INO | _STATX_MNT_ID
    if _libc.statx(descriptor, b"", flags, wanted, status):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return _STATX.unpack_from(status)
