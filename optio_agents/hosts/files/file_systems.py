"""Which file systems answer by themselves: the kernel's own, on local disks or in memory.

Others (FUSE, NFS, SMB, 9p, Ceph and the like) ask a process or another machine, which may never answer.
"""

from __future__ import annotations

import os

from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.files.openat2 import mount_number, status_beneath

LOCAL = frozenset(
    (
        *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ntfs3", "overlay"),
        *("ramfs", "reiserfs", "rootfs", "tmpfs", "vfat", "xfs", "zfs"),
    )
)

_known: dict[int, bool] = {}
"""By device, where that is a disk's number: others are given again to another file system."""


def is_local(directory: int, device: int) -> bool:
    """Whether an open directory lies on a file system that answers by itself. Asks no file system but /proc.

    Args:
        directory: its descriptor.
        device: as in `st_dev`.
    """
    known = _known.get(device)
    if known is None:
        kind = _type_of_mount(mount_number(directory))
        known = kind in LOCAL or not kind  # before Linux 5.8 it is not told
        if os.major(device):
            _known[device] = known
    return known


def is_missing(path: str) -> bool:
    """Whether there is certainly nothing at `path` (absolute), which is found out without waiting.

    `False` if there is something, or if it takes waiting.
    """
    parent, name = os.path.split(path)
    directory = Directory(parent)
    try:
        with directory.open_now() as descriptor:
            if is_local(descriptor, directory.device):
                status_beneath(descriptor, name)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _type_of_mount(number: int | None) -> str:
    """The type of a mount, as proc_pid_mountinfo(5) has it; empty if it is not known."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    wanted = b"%d" % number if number is not None else None
    for line in lines:
        if line.partition(b" ")[0] == wanted:
            return line.partition(b" - ")[2].partition(b" ")[0].decode("ascii", "replace")
    return ""
