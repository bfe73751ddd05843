"""Archives from hosts that are not trusted."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from optio_agents.seeds import archive
from optio_agents.seeds.errors import SeedArchiveError


def nothing() -> None:
    pass


def packed(*entries: tuple[str, bytes | str | None]) -> io.BytesIO:
    """An archive: bytes make a file, a text a symlink, `None` a directory."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as output:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            output.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    target.seek(0)
    return target


def names(source: io.BytesIO) -> list[str]:
    source.seek(0)
    return [member.name for member, _ in archive.members(source, nothing)]


@pytest.mark.parametrize("name", ["/etc/passwd", "../above", "a/../../above", "..", "./../x"])
def test_names_that_lead_out_are_left_out(name: str) -> None:
    assert names(packed((name, b"x"), ("inside", b"y"))) == ["inside"]


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.LNKTYPE])
def test_special_members_are_left_out(kind: bytes) -> None:
    source = io.BytesIO()
    with tarfile.open(fileobj=source, mode="w:gz") as output:
        member = tarfile.TarInfo("special")
        member.type, member.linkname = kind, "/etc/passwd"
        output.addfile(member)
    assert names(source) == []


def test_setuid_and_owners_are_dropped() -> None:
    source = io.BytesIO()
    with tarfile.open(fileobj=source, mode="w:gz") as output:
        member = tarfile.TarInfo("tool")
        member.mode, member.uid, member.uname = 0o6755, 1234, "somebody"
        output.addfile(member)
    source.seek(0)
    ((clean, _),) = archive.members(source, nothing)
    assert (clean.mode, clean.uid, clean.uname) == (0o755, 0, "")


def test_a_member_below_a_symlink_is_an_attack() -> None:
    source = packed(("a", "b"), ("a/file", b"x"))
    with pytest.raises(SeedArchiveError, match="below a symlink: 'a/file'"):
        archive.select(source, io.BytesIO(), lambda _: True, nothing)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: b"not gzip at all",
        lambda data: gzip.compress(b"not tar at all" * 100),
        lambda data: data[:-8] + b"\0" * 8,
        lambda data: b"",
        lambda data: gzip.compress(gzip.decompress(data) + b"\0" * (archive._PADDING + 10)),
    ],
    ids=["cut off", "no gzip", "no tar", "wrong checksum", "empty", "endless"],
)
def test_a_damaged_archive_is_a_clear_error(damage: Callable[[bytes], bytes]) -> None:
    data = damage(packed(("a", b"x" * 5000)).getvalue())
    with pytest.raises(SeedArchiveError):
        names(io.BytesIO(data))


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBER_LIMIT", 2)
    with pytest.raises(SeedArchiveError, match="too large"):
        names(packed(("a", b""), ("b", b""), ("c", b"")))
    monkeypatch.setattr(archive, "LIMIT", 10)
    with pytest.raises(SeedArchiveError, match="too large"):
        names(packed(("a", b"x" * 11)))


def test_names_get_the_directory_that_their_pack_was_made_in() -> None:
    target = io.BytesIO()
    packs = [("", packed(("./a", b"1"))), ("b/c", packed(("./d", None), ("./d/e", b"2")))]
    archive.compose(packs, target, nothing)
    assert names(target) == ["a", "b/c/d", "b/c/d/e"]


def test_merging() -> None:
    base = packed(("keep", b"1"), ("replace", b"old"), ("directory", None), ("directory/gone", b"x"))
    overlay = packed(("replace", b"new"), ("directory", b"now a file"), ("added", None))
    target = io.BytesIO()
    archive.merge(base, overlay, target, nothing)
    target.seek(0)
    merged = {each.name: content and content.read() for each, content in archive.members(target, nothing)}
    assert merged == {"keep": b"1", "replace": b"new", "directory": b"now a file", "added": None}


def test_work_stops_between_blocks_when_asked_to() -> None:
    class Stopped(Exception):  # noqa: N818
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stopped

    with pytest.raises(Stopped):
        archive.select(packed(("a", bytes(range(256)) * 4000)), io.BytesIO(), lambda _: True, check)
