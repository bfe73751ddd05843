"""A new file in a directory that an agent controls, never over one that is there."""

from __future__ import annotations

import os
import posixpath
import secrets

from optio_agents.hosts.files.beneath import open_parent, write_all
from optio_agents.hosts.files.directory import Directory

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPIES = 1000


def create_new(directory: str, path: str, data: bytes) -> str:
    """Write `data` to the new file `path` beneath `directory`; it appears in one step. Blocks on the disk.

    If the name is taken, a number is inserted before its extension: `report (2).pdf`.

    Args:
        directory: absolute.
        path: relative; directories on its way are made.
        data: the content.

    Returns:
        The path that was used.

    Raises:
        LeavesDirectory: the path leads out of the directory, by way of a symlink.
        OSError: as the system says.
    """
    stem, extension = posixpath.splitext(posixpath.basename(path))
    with Directory(directory).open() as root, open_parent(root, path, make_directories=True) as (parent, _):
        temporary = f".{secrets.token_hex(8)}.tmp"
        descriptor = os.open(temporary, _NEW, 0o666, dir_fd=parent)
        try:
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
            for number in range(1, _COPIES + 1):
                name = f"{stem}{extension}" if number == 1 else f"{stem} ({number}){extension}"
                try:
                    # Unlike a rename, a link does not replace what is there.
                    os.link(temporary, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
                except FileExistsError:
                    continue
                return posixpath.join(posixpath.dirname(path), name)
            raise FileExistsError(f"{_COPIES} files with the name {stem}{extension} are there already")
        finally:
            os.unlink(temporary, dir_fd=parent)
