"""Announced paths: each handed over in order, each with one reply."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from optio_agents.protocol import replies
from optio_agents.protocol.rejections import RejectionKind
from optio_agents.session.deliverable import DeliverableFile
from optio_agents.session.events import DeliverableSettled, ProblemReported, SessionEvent
from optio_agents.session.fetcher import Fetcher
from optio_agents.session.options import SessionOptions
from optio_agents.session.outcome import DeliverableRecord
from tests.support.session import MemoryDeliverable, MemoryHost
from tests.support.session_parts import FarEnd, plan_of


class Fetching:
    def __init__(self, host: MemoryHost, *, options: SessionOptions | None = None, **callbacks: Any) -> None:
        self.events: list[SessionEvent] = []
        self.settled = 0
        self.received: list[int] = []
        self.sender = FarEnd()
        self.plan = plan_of(host=host, observe=self.events.append, options=options)
        plan = self.plan
        self.fetcher = Fetcher(
            plan.boundary,
            host,
            plan.hook_context,
            plan.recorder,
            self.sender.ref,
            plan.options,
            on_received=self.received.append,
            **callbacks,
        )

    async def fetch(self, *paths: str) -> list[DeliverableRecord]:
        """Announce `deliverables/<path>` for each."""

        def settle() -> None:
            self.settled += 1

        await self.fetcher.handle([f"deliverables/{path}" for path in paths], settle)
        return self.records

    @property
    def records(self) -> list[DeliverableRecord]:
        return [each.record for each in self.events if isinstance(each, DeliverableSettled)]

    @property
    def problems(self) -> list[str]:
        return [each.text for each in self.events if isinstance(each, ProblemReported)]


def memory(**files: bytes) -> MemoryHost:
    return MemoryHost(deliverables=dict(files))


async def test_text_is_handed_over_and_answered_in_order() -> None:
    got: list[tuple[str, str]] = []
    answers = {"a": None, "b": "please redo", "c": " OK "}

    async def take(hook_ctx: object, path: str, text: str) -> str | None:
        assert hook_ctx is fetching.plan.hook_context
        got.append((path, text))
        return answers[path]

    fetching = Fetching(memory(a=b"A", b="ä".encode(), c=b""), on_text=take)
    records = await fetching.fetch("a", "b", "./c")
    assert got == [("a", "A"), ("b", "ä"), ("c", "")]
    assert [each.accepted for each in records] == [True, False, True]
    assert [each.size for each in records] == [1, 2, 0]
    assert records[0].sha256 == hashlib.sha256(b"A").hexdigest()
    assert not any(each.failed for each in records)
    assert [text.split(":")[0] for text in fetching.sender.told] == [
        "deliverable a",
        "deliverable b",
        "deliverable c",
    ]
    assert "please redo" in fetching.sender.told[1]
    assert fetching.settled == 3
    assert fetching.received == [1, 2, 0]
    assert fetching.plan.recorder.unsaid == 3


async def test_without_a_callback_what_was_read_is_accepted() -> None:
    fetching = Fetching(memory(a=b"A"))
    (record,) = await fetching.fetch("a")
    assert (record.accepted, record.size, record.reply) == (True, 1, replies.ACCEPTED)
    assert record.sha256 == hashlib.sha256(b"A").hexdigest()
    assert fetching.settled == 1


async def test_a_rejection_is_answered_in_its_place() -> None:
    got = []

    async def take(hook_ctx: object, path: str, text: str) -> None:
        got.append(path)

    fetching = Fetching(memory(a=b"A", bad=b"ok\xff", c=b"C"), on_text=take)
    records = await fetching.fetch("a", "../../x", "missing", "bad", "c")
    assert [each.kind for each in records] == [
        None,
        RejectionKind.OUTSIDE,
        RejectionKind.MISSING,
        RejectionKind.NOT_UTF8,
        None,
    ]
    assert "byte 2 is 0xff" in records[3].reply
    assert got == ["a", "c"]
    assert len(fetching.sender.told) == fetching.settled == 5
    assert len(fetching.plan.ctx.messages) == 3, "a person sees why, too"


@pytest.mark.parametrize("kind", ["on_text", "on_file"])
async def test_a_host_that_sends_more_than_it_says_is_stopped_at_the_limit(kind: str) -> None:
    class Lying(MemoryHost):
        @asynccontextmanager
        async def open_deliverable(
            self, relative_path: str, *, limit: int
        ) -> AsyncIterator[MemoryDeliverable]:
            yield MemoryDeliverable(b"x" * 11)

    async def take(*args: Any) -> None:
        raise AssertionError("it is not handed over")

    options = SessionOptions(
        **{"on_text": {"text_limit": 10}, "on_file": {"deliverable_limit": 10}}[kind]  # type: ignore[arg-type]
    )
    fetching = Fetching(Lying(), options=options, **{kind: take})
    (record,) = await fetching.fetch("a")
    assert record.kind is RejectionKind.TOO_LARGE
    assert fetching.received == []


@pytest.mark.parametrize("kind", ["on_text", "on_file"])
async def test_a_file_of_just_the_limit_is_taken(kind: str) -> None:
    async def take(*args: Any) -> None:
        await trio.lowlevel.checkpoint()

    other = {"on_text": "deliverable_limit", "on_file": "text_limit"}[kind]
    limits: Any = {"text_limit": 10, "deliverable_limit": 10, other: 3}
    fetching = Fetching(memory(a=b"x" * 10), options=SessionOptions(**limits), **{kind: take})
    (record,) = await fetching.fetch("a")
    assert record.accepted


async def test_a_callback_that_raises_is_our_trouble_not_the_agents() -> None:
    crash = LookupError("no table")

    async def take(hook_ctx: object, path: str, text: str) -> None:
        if path == "a":
            raise crash

    fetching = Fetching(memory(a=b"", b=b""), on_text=take)
    first, second = await fetching.fetch("a", "b")
    assert (first.failed, first.accepted, first.error, first.reply) == (True, False, crash, replies.TROUBLE)
    assert (second.failed, second.accepted) == (False, True)
    assert fetching.problems == [f"on_deliverable callback raised for a: {crash!r}"]


async def test_an_answer_of_the_wrong_type_is_the_callbacks_failure() -> None:
    async def take(hook_ctx: object, path: str, text: str) -> Any:
        return 5

    (record,) = await Fetching(memory(a=b""), on_text=take).fetch("a")
    assert record.failed
    assert isinstance(record.error, TypeError)


async def test_any_content_is_handed_over_as_a_file_that_is_freed_afterwards() -> None:
    kept: list[DeliverableFile] = []

    async def take(hook_ctx: object, file: DeliverableFile) -> None:
        assert await file.read() == b"\xff\xfe"
        kept.append(file)

    fetching = Fetching(memory(a=b"\xff\xfe"), on_file=take)
    (record,) = await fetching.fetch("a")
    assert (record.accepted, record.size) == (True, 2)
    assert record.sha256 == hashlib.sha256(b"\xff\xfe").hexdigest()
    assert fetching.received == [2]
    with pytest.raises(ValueError, match="closed"):
        await kept[0].read()


class Failing(MemoryHost):
    """Cannot open `bad`."""

    def __init__(self, error: OSError) -> None:
        super().__init__(deliverables={"a": b"A", "c": b"C"})
        self.error = error

    @asynccontextmanager
    async def open_deliverable(self, relative_path: str, *, limit: int) -> AsyncIterator[MemoryDeliverable]:
        if relative_path == "bad":
            raise self.error
        async with super().open_deliverable(relative_path, limit=limit) as source:
            yield source


async def test_a_shortage_of_ours_costs_one_deliverable() -> None:
    shortage = OSError(errno.EMFILE, "Too many open files")
    fetching = Fetching(Failing(shortage))
    records = await fetching.fetch("a", "bad", "c")
    assert [each.accepted for each in records] == [True, False, True]
    assert (records[1].failed, records[1].error, records[1].reply) == (True, shortage, replies.TROUBLE)
    assert [each.path for each in records] == ["a", "bad", "c"]
    assert len(fetching.problems) == 1
    assert "Too many open files" in fetching.problems[0]
    assert fetching.settled == 3


async def test_a_group_is_handed_over_when_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read waits in memory."""
    monkeypatch.setattr("optio_agents.session.fetcher.GROUP_BYTES", 2)
    order = []

    class Host(MemoryHost):
        @asynccontextmanager
        async def open_deliverable(
            self, relative_path: str, *, limit: int
        ) -> AsyncIterator[MemoryDeliverable]:
            order.append(f"read {relative_path}")
            async with super().open_deliverable(relative_path, limit=limit) as source:
                yield source

    async def take(hook_ctx: object, path: str, text: str) -> None:
        order.append(f"take {path}")

    await Fetching(Host(deliverables={"a": b"1", "b": b"2", "c": b"3"}), on_text=take).fetch("a", "b", "c")
    assert order == ["read a", "read b", "take a", "take b", "read c", "take c"]


async def test_a_cancelled_batch_frees_its_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DeliverableFile] = []
    real = DeliverableFile.__init__

    def noting(file: DeliverableFile, path: str) -> None:
        real(file, path)
        made.append(file)

    monkeypatch.setattr(DeliverableFile, "__init__", noting)

    async def take(hook_ctx: object, file: DeliverableFile) -> None:
        scope.cancel()
        await trio.sleep_forever()

    fetching = Fetching(memory(a=b"A", b=b"B"), on_file=take)
    with trio.CancelScope() as scope:
        await fetching.fetch("a", "b")
    assert len(made) == 2
    for file in made:
        with pytest.raises(ValueError, match="closed"):
            await file.read()
    assert fetching.settled == 0
