import errno
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.run import deliverable_store as store_module
from optio_agents.cli.run.deliverable_store import DeliverableStore, Unsaved


class File:
    def __init__(self, path: str, *pieces: bytes, then: BaseException | None = None) -> None:
        self.path = path
        self._pieces = pieces
        self._then = then

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for piece in self._pieces:
            await trio.lowlevel.checkpoint()
            yield piece
        if self._then is not None:
            raise self._then


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


async def test_bytes_arrive_as_they_are(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3 + b"\r\n\0\xff"
    store = DeliverableStore(tmp_path / "out")
    saved = await store.save(File("deep/er/data.bin", content[:100], content[100:]))
    store.close()
    assert saved == tmp_path / "out" / "deep/er/data.bin"
    assert saved.read_bytes() == content
    assert (store.saves, store.unsaved) == (1, {})
    assert everything(tmp_path / "out") == ["deep", "deep/er", "deep/er/data.bin"]


async def test_a_redone_deliverable_replaces_the_old_one(tmp_path: Path) -> None:
    store = DeliverableStore(tmp_path)
    await store.save(File("a", b"a long first version"))
    await store.save(File("a", b"short"))
    store.close()
    assert (tmp_path / "a").read_bytes() == b"short"
    assert everything(tmp_path) == ["a"]


async def test_a_planted_link_at_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    store = DeliverableStore(tmp_path / "out")
    (tmp_path / "out" / "a").symlink_to(victim)
    await store.save(File("a", b"new"))
    store.close()
    assert victim.read_text() == "precious"
    assert not (tmp_path / "out" / "a").is_symlink()
    assert (tmp_path / "out" / "a").read_bytes() == b"new"


async def test_a_planted_link_on_the_way_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store = DeliverableStore(tmp_path / "out")
    (tmp_path / "out" / "sub").symlink_to(outside)
    with pytest.raises(Unsaved):
        await store.save(File("sub/a", b"new"))
    store.close()
    assert everything(outside) == []
    assert list(store.unsaved) == ["sub/a"]


async def test_a_root_swapped_for_a_link_afterwards_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store = DeliverableStore(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "out").symlink_to(outside)
    await store.save(File("a", b"new"))
    store.close()
    assert everything(outside) == []
    assert (tmp_path / "moved" / "a").read_bytes() == b"new"


@pytest.mark.parametrize("path", ["", "/etc/x", "../x", "a/../../x", "a\0b", "."])
async def test_a_path_that_leads_out_is_refused(path: str, tmp_path: Path) -> None:
    store = DeliverableStore(tmp_path / "out")
    with pytest.raises(Unsaved):
        await store.save(File(path, b"x"))
    store.close()
    assert everything(tmp_path) == []


async def test_a_temporary_file_that_somebody_removed_hides_no_failure(tmp_path: Path) -> None:
    class Meddled(File):
        async def chunks(self) -> AsyncGenerator[bytes, None]:
            yield b"x"
            for each in tmp_path.iterdir():
                each.unlink()
            raise ZeroDivisionError

    store = DeliverableStore(tmp_path)
    with pytest.raises(ZeroDivisionError):
        await store.save(Meddled("a", b""))
    store.close()
    assert store.unsaved == {}


async def test_a_full_disk_leaves_the_old_version_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DeliverableStore(tmp_path)
    await store.save(File("a", b"old"))

    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "write_all", full)
        with pytest.raises(Unsaved, match="No space left on device"):
            await store.save(File("a", b"new"))
    assert store.unsaved == {"a": "No space left on device"}
    assert (tmp_path / "a").read_bytes() == b"old"
    assert everything(tmp_path) == ["a"]
    await store.save(File("a", b"new"))  # there is room again
    store.close()
    assert store.unsaved == {}
    assert (tmp_path / "a").read_bytes() == b"new"


async def test_a_file_that_was_there_before_is_named_when_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"earlier")
    replaced: list[Path] = []
    store = DeliverableStore(tmp_path)
    store.on_replaced = replaced.append
    for content in (b"one", b"two"):  # The second replaces our own.
        await store.save(File("a", content))
    await store.save(File("b", b"new"))
    store.close()
    assert replaced == [tmp_path / "a"]


async def test_a_dot_name_replaces_nothing_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_bytes(b"own")
    store = DeliverableStore(tmp_path)
    with pytest.raises(Unsaved, match="--overwrite-hidden"):
        await store.save(File(".git/config", b"theirs"))
    await store.save(File(".new", b"fine"))
    store.close()
    assert (tmp_path / ".git" / "config").read_bytes() == b"own"
    assert (tmp_path / ".new").read_bytes() == b"fine"
    store = DeliverableStore(tmp_path, overwrite_hidden=True)
    await store.save(File(".git/config", b"theirs"))
    store.close()
    assert (tmp_path / ".git" / "config").read_bytes() == b"theirs"


async def test_a_source_that_fails_half_way_leaves_no_rubbish(tmp_path: Path) -> None:
    store = DeliverableStore(tmp_path)
    with pytest.raises(ValueError, match="shrank"):
        await store.save(File("a", b"first", then=ValueError("shrank")))
    assert everything(tmp_path) == []
    assert store.unsaved == {}
    store.close()


async def test_a_cancelled_save_leaves_no_rubbish(tmp_path: Path) -> None:
    store = DeliverableStore(tmp_path)

    class Stuck(File):
        async def chunks(self) -> AsyncGenerator[bytes, None]:
            yield b"first"
            scope.cancel()
            await trio.sleep_forever()

    with trio.CancelScope() as scope:
        await store.save(Stuck("a"))
    assert scope.cancelled_caught
    store.close()
    assert everything(tmp_path) == []


async def test_a_directory_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    store = DeliverableStore(tmp_path)
    with pytest.raises(Unsaved, match="directory"):
        await store.save(File("a", b"new"))
    store.close()
    assert everything(tmp_path) == ["a"]


def test_a_directory_made_for_nothing_is_removed_again(tmp_path: Path) -> None:
    DeliverableStore(tmp_path / "out").close()
    assert everything(tmp_path) == []


def test_a_directory_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    DeliverableStore(tmp_path / "out").close()
    assert everything(tmp_path) == ["out"]


def test_a_root_that_is_a_file_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="cannot save deliverables"):
        DeliverableStore(tmp_path / "out")
    with pytest.raises(UsageError, match="Not a directory"):
        DeliverableStore(tmp_path / "out" / "deeper")


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    store = DeliverableStore(tmp_path)
    (tmp_path / "link").symlink_to("/tmp")
    for file in (File("a/b", b"x"), File("link/x", b"x"), File("a", b"x"), File("../x", b"x")):
        with suppress(Unsaved):
            await store.save(file)
    store.close()
    assert os.listdir("/proc/self/fd") == before
