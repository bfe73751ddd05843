"""The checklist's file in the workdir.

The agent controls the workdir: a symlink, a FIFO or a huge file may be in place of the list. The list is therefore read
only if it is a plain file of a sane size. It is written next to the workdir first and then moved into place, which
replaces a symlink and never follows it.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import secrets
import shlex
import stat
from typing import Any

from optio_agents.hosts.files.beneath import replacing, write_all
from optio_agents.hosts.files.directory import Directory
from optio_agents.hosts.kinds import is_optio_local, is_optio_remote
from optio_agents.todos.saved import SIZE_LIMIT

TODO_FILENAME = ".optio-todo.json"
SECONDS = 30.0
"""Seconds that reading or writing the file may take."""

# Enter the workdir itself. The command fails if the workdir was replaced by a symlink.
_ENTER = (
    'cd -P -- {parent} && base=$(pwd -P) && cd -P -- "./"{name} && [ "$(pwd -P)" = "${{base%/}}/"{name} ]'
)
_READ = (
    """[ -f {file} ] && [ ! -L {file} ] && [ "$(wc -c < {file})" -le {limit} ] && head -c {limit} < {file}"""
)
_PLACE = "mv -fT -- {staged} {file}"


async def read_saved(host: Any) -> str | None:
    """The file's text; `None` if it is missing, no plain file, too large or no text.

    Raises:
        TimeoutError: the host did not answer in time.
        Exception: an error of the host.
    """
    async with asyncio.timeout(SECONDS):
        try:
            data = await _read(host)
        except FileNotFoundError:
            return None
    if data is None or len(data) > SIZE_LIMIT:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


async def write_saved(host: Any, text: str) -> None:
    """Replace the file.

    Raises:
        TimeoutError: the host did not answer in time.
        OSError: it cannot be written.
        Exception: an error of the host.
    """
    async with asyncio.timeout(SECONDS):
        if is_optio_local(host, "write_text"):
            await asyncio.to_thread(_write_locally, host.workdir, text.encode())
        elif is_optio_remote(host, "write_text"):
            await _write_remotely(host, text.encode())
        else:
            await host.write_text(TODO_FILENAME, text)


async def _read(host: Any) -> bytes | None:
    if is_optio_local(host, "fetch_bytes_from_host"):
        return await asyncio.to_thread(_read_locally, host.workdir)
    if is_optio_remote(host, "fetch_bytes_from_host"):
        result = await host.run_command(
            _in_workdir(host.workdir, _READ.format(file=TODO_FILENAME, limit=SIZE_LIMIT))
        )
        return result.stdout.encode() if result.exit_code == 0 else None
    data: bytes = await host.fetch_bytes_from_host(posixpath.join(host.workdir, TODO_FILENAME))
    return data


def _read_locally(workdir: str) -> bytes | None:
    with Directory(workdir).open() as root:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(TODO_FILENAME, flags, dir_fd=root)
        except FileNotFoundError:
            raise
        except OSError:  # a symlink, a socket
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(SIZE_LIMIT + 1)
        finally:
            os.close(descriptor)


def _write_locally(workdir: str, data: bytes) -> None:
    with Directory(workdir).open() as root, replacing(root, TODO_FILENAME, mode=0o644) as descriptor:
        write_all(descriptor, data)


async def _write_remotely(host: Any, data: bytes) -> None:
    parent = posixpath.dirname(posixpath.normpath(host.workdir))
    staged = posixpath.join(parent, f".optio-todo-{secrets.token_hex(8)}")
    await host.put_file_to_host(data, staged)
    place = _in_workdir(host.workdir, _PLACE.format(staged=shlex.quote(staged), file=TODO_FILENAME))
    result = await host.run_command(f"{place} || {{ rm -f -- {shlex.quote(staged)}; exit 1; }}")
    if result.exit_code != 0:
        raise OSError(f"{TODO_FILENAME} could not be written: {result.stderr.strip()}")


def _in_workdir(workdir: str, command: str) -> str:
    parent, name = posixpath.split(posixpath.normpath(workdir))
    return f"{_ENTER.format(parent=shlex.quote(parent), name=shlex.quote(name))} && {command}"
