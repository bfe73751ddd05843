"""`openat2(2)`: opening a path beneath a directory in one call, without crossing into another file system.

Python has no function for it. What it opens lies on the directory's own file system, so that the call does not wait
for a file system that an agent has mounted there. It is missing before Linux 5.6, and refused by the default filters of
older container engines. In those cases, and for every path that it refuses, use `beneath.open_file`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

_NUMBER = {"x86_64": 437, "aarch64": 437, "riscv64": 437, "ppc64le": 437, "s390x": 437}.get(
    platform.machine()
)
_NO_XDEV, _NO_MAGICLINKS, _BENEATH = 0x01, 0x02, 0x08


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


def open_near(root: int, path: bytes, flags: int = 0) -> int | None:
    """Open an existing file for reading; `None` if that takes more than this call.

    Links that stay beneath `root` are followed. A FIFO or a device does not block. `flags` are further ones of open(2).
    """
    global _NUMBER
    if _NUMBER is None or b"\0" in path:
        return None
    how = _How(_FLAGS | flags, 0, _NO_XDEV | _NO_MAGICLINKS | _BENEATH)
    descriptor: int = _libc.syscall(
        ctypes.c_long(_NUMBER), root, path, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    )
    if descriptor >= 0:
        return descriptor
    if ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
        _NUMBER = None  # it will not work the next time either
    return None
