"""Removing what an agent left: trees of any shape, without recursion and without following a link.

`shutil.rmtree` calls itself for each level (about 900 of them end it with a `RecursionError`) and stops at a directory
that it cannot enter. Here the subdirectories of a directory are moved up to its parent before it is removed. Three
descriptors and no recursion suffice for any depth, and each directory is moved once.

All functions are synchronous and may take long: call them in a thread.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove what is at `path`, if anything: a symlink itself, a directory with everything in it.

    Raises:
        OSError: something could not be removed (the first such error; everything else is gone).
    """
    parent, name = os.path.split(os.path.abspath(path))
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not _remove_simple(descriptor, name):
            failure = _clear(descriptor, name)
            try:
                os.rmdir(name, dir_fd=descriptor)
            except OSError as error:
                raise failure or error from None
    finally:
        os.close(descriptor)


def empty_directory(path: str | os.PathLike[str]) -> None:
    """Remove all that is in the directory at `path`, which must not be a symlink.

    Raises:
        OSError: something could not be removed (the first such error; everything else is gone), or there is no such
            directory.
    """
    parent, name = os.path.split(os.path.abspath(path))
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        failure = _clear(descriptor, name)
    finally:
        os.close(descriptor)
    if failure is not None:
        raise failure


def _clear(parent: int, name: str) -> OSError | None:
    """Remove all that is in a directory; return the first error."""
    try:
        top = _enter(parent, name)
    except OSError as error:
        return error
    failure: OSError | None = None
    hopeless: set[str] = set()
    try:
        while names := [each for each in os.listdir(top) if each not in hopeless]:
            for each in names:
                try:
                    if not _remove_simple(top, each):
                        _lift(top, each)
                        os.rmdir(each, dir_fd=top)
                except FileNotFoundError:
                    pass  # a process of the agent was faster
                except OSError as error:
                    failure = failure or error
                    hopeless.add(each)
    except OSError as error:
        failure = failure or error
    finally:
        os.close(top)
    return failure


def _remove_simple(parent: int, name: str) -> bool:
    """Remove a file, a link or an empty directory; return False for a directory that cannot be removed yet."""
    try:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            os.unlink(name, dir_fd=parent)
            return True
        try:
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # it is not empty, or another error that will show again when it is
    except FileNotFoundError:
        return True
    return True


def _lift(top: int, name: str) -> None:
    """Remove the files in `top/name` and move its directories into `top`."""
    directory = _enter(top, name)
    try:
        if os.fstat(directory).st_dev != os.fstat(top).st_dev:
            raise OSError(errno.EXDEV, "another file system is mounted there", name)
        for each in os.listdir(directory):
            if _remove_simple(directory, each):
                continue
            _make_enterable(directory, each)
            with suppress(FileNotFoundError):
                os.rename(each, f"{secrets.token_hex(8)}.removed", src_dir_fd=directory, dst_dir_fd=top)
    finally:
        os.close(directory)


def _enter(parent: int, name: str) -> int:
    """Open a directory that belongs to us, even if its mode forbids that."""
    _make_enterable(parent, name)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _make_enterable(parent: int, name: str) -> None:
    """Give ourselves access to a directory. A link that replaces it meanwhile is not followed."""
    try:
        place = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=parent)
    except OSError:
        return  # the next step reports the error
    try:
        if os.fstat(place).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            with suppress(OSError):  # not ours, or no /proc
                os.chmod(f"/proc/self/fd/{place}", stat.S_IRWXU)
    finally:
        os.close(place)
