"""A seed's archive: gzipped tar files, composed, filtered and merged.

Plain blocking functions over binary files, for a thread. Their input was written by a host on which an agent worked, so
it is not trusted: only regular files, directories and links that stay within the home pass, in normal form.
"""

from __future__ import annotations

import copy
import gzip
import io
import logging
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from optio_agents.seeds.errors import SeedArchiveError

_logger = logging.getLogger(__name__)

LIMIT = 4 * 1024**3
"""The most bytes that an archive may hold when unpacked."""

MEMBER_LIMIT = 200_000
"""The most members that an archive may have."""

_PADDING = 1024 * 1024
"""The most bytes that a tar may have after its end marker."""

Check = Callable[[], None]
"""Called between blocks; raises when the work is to stop."""


def compose(packs: Iterable[tuple[str, IO[bytes]]], target: IO[bytes], check: Check) -> None:
    """Write one archive from several packs. Each item is the directory in which a pack was made, and the pack."""
    with _writing(target) as output:
        for directory, pack in packs:
            for member, content in members(pack, check):
                member.name = posixpath.join(directory, member.name) if directory else member.name
                output.addfile(member, content)


def select(source: IO[bytes], target: IO[bytes], keep: Callable[[str], bool], check: Check) -> None:
    """Copy the members whose names `keep` accepts."""
    links: set[str] = set()
    with _writing(target) as output:
        for member, content in members(source, check):
            if not keep(member.name):
                continue
            if any(parent in links for parent in _parents(member.name)):
                raise SeedArchiveError(f"the seed's archive has a member below a symlink: {member.name!r}")
            if member.issym():
                links.add(member.name)
            output.addfile(member, content)


def merge(base: IO[bytes], overlay: IO[bytes], target: IO[bytes], check: Check) -> None:
    """Write `base`, with its members replaced by the members of `overlay` that have the same names."""
    replaced: dict[str, bool] = {}
    for member, _ in members(overlay, check):
        replaced[member.name] = member.isdir()
    overlay.seek(0)

    def is_replaced(name: str) -> bool:
        return name in replaced or any(replaced.get(parent) is False for parent in _parents(name))

    with _writing(target) as output:
        for member, content in members(base, check):
            if not is_replaced(member.name):
                output.addfile(member, content)
        for member, content in members(overlay, check):
            output.addfile(member, content)


def single(name: str, data: bytes, target: IO[bytes]) -> None:
    """Write an archive with one file, readable and writable by its owner only."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    with _writing(target) as output:
        output.addfile(member, io.BytesIO(data))


def members(source: IO[bytes], check: Check) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """The members that may be in a seed, each with its content (of regular files). Read them in order.

    Raises:
        SeedArchiveError: it is no gzipped tar, damaged or too large.
    """
    count = size = 0
    try:
        with (
            gzip.GzipFile(fileobj=_Checked(source, check), mode="rb") as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|") as archive,
        ):
            for member in archive:
                setattr(archive, "members", [])  # noqa: B010 - not in the type stubs; the list would grow by every member
                count, size = count + 1, size + member.size
                if count > MEMBER_LIMIT or size > LIMIT:
                    raise SeedArchiveError(
                        f"the seed is too large: more than {LIMIT >> 20} MiB or {MEMBER_LIMIT} files"
                    )
                if (clean := _clean(member)) is not None:
                    yield clean, archive.extractfile(member) if member.isreg() else None
            if unpacked.read(_PADDING + 1)[_PADDING:]:  # reading to the end verifies the checksum
                raise SeedArchiveError("the seed's archive has something after its end")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise SeedArchiveError(f"the seed's archive cannot be read: {error}") from error


def _clean(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member with a name in normal form and no owner; `None` if it may not be in a seed."""
    name = posixpath.normpath(member.name)
    if name == ".":
        return None
    is_link = member.issym()
    leaves = name.startswith(("/", "../")) or name == ".."
    if is_link:
        destination = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        leaves = leaves or destination.startswith(("/", "../")) or destination == ".."
    if leaves or not (member.isreg() or member.isdir() or is_link):
        _logger.warning("left out of the seed: %r, which is special or leads out of the home", member.name)
        return None
    clean = copy.copy(member)
    clean.name = name
    clean.mode &= 0o777
    clean.uid = clean.gid = 0
    clean.uname = clean.gname = ""
    clean.pax_headers = {}
    return clean


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


@contextmanager
def _writing(target: IO[bytes]) -> Iterator[tarfile.TarFile]:
    with (
        gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as output,
    ):
        setattr(output, "members", _Forgetful())  # noqa: B010 - not in the type stubs
        yield output


class _Forgetful(list[Any]):
    """An empty list of members: a `TarFile` that writes never reads it, and it would grow with the archive."""

    def append(self, _: Any) -> None:
        """Do nothing."""


class _Checked(io.RawIOBase):
    """A file whose reader can be stopped between blocks."""

    def __init__(self, file: IO[bytes], check: Check) -> None:
        self._file = file
        self._check = check

    def read(self, size: int = -1) -> bytes:
        """Read a block, after `check` (which raises to stop the reader)."""
        self._check()
        return self._file.read(size)
