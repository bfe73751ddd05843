"""The copy that a callback gets: what goes wrong with one costs that one."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
import trio

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.protocol import replies
from optio_agents.protocol.session import DeliverableFile
from optio_agents.session.deliverable import IN_MEMORY, CopyFailed
from tests.support.session import MemoryHost, RecordingCtx


async def test_no_room_for_a_copy_costs_that_deliverable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary directory is removed while the session runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    taken = []

    async def take(hook_ctx: HookContext, file: DeliverableFile) -> None:
        taken.append(file.path)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("first", b"a")
        host.deliver("big", bytes(4 * IN_MEMORY))
        host.deliver("small", b"b")
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        MemoryHost(), RecordingCtx(), body=body, on_deliverable_file=take
    )
    assert taken == ["first", "small"]
    big = outcome.deliverables[1]
    assert (big.path, big.accepted, big.failed, big.reply) == ("big", False, True, replies.TROUBLE)
    assert isinstance(big.error, CopyFailed)
    assert len(outcome.problems) == 1


def test_a_copy_that_failed_says_why() -> None:
    said = "no copy of it in the temporary directory"
    assert str(CopyFailed(OSError(28, "No space left"))) == f"{said}: No space left"
    assert str(CopyFailed(OSError("only text"))) == f"{said}: only text"


async def test_a_file_is_read_in_pieces_in_turn_with_other_tasks_and_saved_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    host, file = MemoryHost(deliverables={"a": content}), DeliverableFile("a")
    received: list[int] = []
    async with host.open_deliverable("a", limit=len(content)) as source:
        await file.fill(source, received.append)
    assert sum(received) == len(content)
    assert (file.size, file.digest) == (len(content), hashlib.sha256(content).hexdigest())
    assert await file.sha256() == file.digest
    turns = [len(piece) async for piece in file.chunks()]
    assert len(turns) > 1
    await file.save(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["saved"]
    file.close()
    with pytest.raises(ValueError, match="closed"):
        await file.save(tmp_path / "again")
    assert [each.name for each in tmp_path.iterdir()] == ["saved"]


async def test_the_text_of_a_file_is_its_content_decoded() -> None:
    for content in ("grün\n".encode(), b"\xff"):
        host, file = MemoryHost(deliverables={"a": content}), DeliverableFile("a")
        async with host.open_deliverable("a", limit=100) as source:
            await file.fill(source)
        if content == b"\xff":
            with pytest.raises(UnicodeDecodeError):
                await file.text()
        else:
            assert await file.text() == "grün\n"
        file.close()
