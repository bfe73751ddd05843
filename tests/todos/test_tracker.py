"""A checklist that follows a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from optio_agents.todos import TodoItem, TodoProgress, TodoTracker, TodoUpdate

Event = dict[str, Any]


class Ctx:
    def __init__(self) -> None:
        self.progress: list[tuple[Any, ...]] = []
        self.published: list[list[str]] = []

    def report_progress(self, *report: Any) -> None:
        self.progress.append(report)

    async def set_widget_todos(self, items: list[dict[str, Any]]) -> None:
        await asyncio.sleep(0)
        self.published.append([f"{each['text']}:{each['status']}" for each in items])


class Conversation:
    def __init__(self) -> None:
        self.handlers: list[Callable[[Event], None]] = []

    def on_event(self, handler: Callable[[Event], None]) -> Callable[[], None]:
        self.handlers.append(handler)
        return lambda: self.handlers.remove(handler)


class MemoryHost:
    """A host that is none of optio-host's."""

    workdir = "/task"

    def __init__(self, **files: bytes) -> None:
        self.files: dict[str, bytes] = {}

    async def fetch_bytes_from_host(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    async def write_text(self, path: str, text: str) -> None:
        self.files[f"{self.workdir}/{path}"] = text.encode()


def extract(event: Event) -> TodoUpdate | None:
    if "boom" in event:
        raise RuntimeError("boom")
    return event.get("update")


def says(*rows: tuple[str, str], source: str = "tool", merge: bool = False) -> Event:
    return {"update": TodoUpdate([TodoItem("", text, status) for text, status in rows], merge, source)}


DOING, DONE = "in_progress", "completed"


def run(scenario: Callable[[TodoTracker, Ctx], Awaitable[None]], ctx: Ctx | None = None) -> Ctx:
    used = ctx or Ctx()
    tracker = TodoTracker(extract, used)  # constructed without a loop

    async def whole() -> None:
        async with asyncio.timeout(60):
            await scenario(tracker, used)
            await all_done()

    asyncio.run(whole())
    return used


async def all_done() -> None:
    """No task remains, so code that waits for all of them is not delayed."""
    me = asyncio.current_task()
    while others := asyncio.all_tasks() - {me}:
        await asyncio.wait(others)


def test_progress_tells_what_has_changed() -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        for event, expected in [
            (says(("a", DOING), ("b", "pending")), [(0, 'Now working on Task 1/2, "a"')]),
            (says(("a", DOING), ("b", "pending")), []),
            (says(("a", DOING), ("b", DONE)), [(50, None)]),
            (says(("a", DONE), ("b", DONE)), [(100, None)]),
            (says(("a", "pending"), ("b", DONE)), [(50, None)]),
            (says(("a", DOING), ("b", DONE)), [(50, 'Now working on Task 1/2, "a"')]),
            (says(), [(None,)]),
            (says(), []),
            ({}, []),
        ]:
            tracker.observe(event)
            assert ctx.progress == expected
            ctx.progress.clear()
            await all_done()

    assert run(scenario).published[-1] == []


def test_it_is_armed_once_and_disarmed() -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        one, two = Conversation(), Conversation()
        tracker.disarm()
        tracker.arm(one)
        tracker.arm(one)
        tracker.arm(two)
        assert (len(one.handlers), len(two.handlers)) == (1, 0)
        one.handlers[0](says(("a", DOING)))
        assert len(ctx.progress) == 1
        tracker.disarm()
        tracker.arm(two)
        assert (len(one.handlers), len(two.handlers)) == (0, 1)

    run(scenario)


def test_what_goes_wrong_with_an_event_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        tracker.observe({"boom": 1})
        tracker.observe({"update": "no update at all"})
        tracker.observe(says(("a", DOING)))

    assert len(run(scenario).progress) == 1
    assert len(caplog.records) == 2


def test_without_a_loop_only_progress_is_told() -> None:
    ctx = Ctx()
    TodoTracker(extract, ctx).observe(says(("a", DOING)))
    assert (len(ctx.progress), ctx.published) == (1, [])


def test_a_ctx_without_rows_is_enough() -> None:
    class Old:
        def report_progress(self, *_: Any) -> None:
            pass

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        tracker.ctx = Old()
        tracker.observe(says(("a", DOING)))

    assert run(scenario).published == []


def test_a_burst_of_updates_is_written_once_or_twice() -> None:
    """Each write is one to the database; two thousand updates must not be two thousand of them."""

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        for number in range(2000):
            tracker.observe(says((f"row {number}", DOING)))
            if number % 500 == 0:
                await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) <= 2

    published = run(scenario).published
    assert published[-1] == ["row 1999:in_progress"]
    assert len(published) <= 6


def test_writes_do_not_overtake_each_other() -> None:
    class Slow(Ctx):
        writing = 0

        async def set_widget_todos(self, items: list[dict[str, Any]]) -> None:
            self.writing += 1
            assert self.writing == 1
            for _ in range(5):
                await asyncio.sleep(0)
            await super().set_widget_todos(items)
            self.writing -= 1

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        for number in range(50):
            tracker.observe(says((str(number), DOING)))
            await asyncio.sleep(0)

    assert run(scenario, Slow()).published[-1] == ["49:in_progress"]


def test_a_failing_write_is_logged_and_the_next_one_tried(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Ctx):
        async def set_widget_todos(self, items: list[dict[str, Any]]) -> None:
            if not caplog.records:
                raise RuntimeError("no database")
            await super().set_widget_todos(items)

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        await tracker.use_rebuilt(TodoProgress())
        tracker.observe(says(("a", DOING)))

    assert run(scenario, Failing()).published == [["a:in_progress"]]
    assert len(caplog.records) == 1


def test_a_write_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from optio_agents.todos import publisher

    class Hanging(Ctx):
        async def set_widget_todos(self, items: list[dict[str, Any]]) -> None:
            await asyncio.Event().wait()

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        monkeypatch.setattr(publisher, "WRITE_SECONDS", 0.001)
        tracker.observe(says(("a", DOING)))
        await tracker.save(MemoryHost())

    run(scenario, Hanging())
    assert "could not be published" in caplog.text


def test_a_cancelled_save_leaves_no_task() -> None:
    class Hanging(Ctx):
        async def set_widget_todos(self, items: list[dict[str, Any]]) -> None:
            await asyncio.Event().wait()

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        tracker.observe(says(("a", DOING)))
        saving = asyncio.create_task(tracker.save(MemoryHost()))
        for _ in range(5):
            await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait([saving])
        assert saving.cancelled()

    run(scenario, Hanging())


# The past.


def test_a_replay_is_reported_once_at_its_end() -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        tracker.begin_replay()
        tracker.observe(says(("a", DOING)))
        tracker.observe(says(("a", DOING), ("b", DONE)))
        assert ctx.progress == []
        tracker.end_replay()
        assert ctx.progress == [(50, 'Now working on Task 1/2, "a"')]
        tracker.begin_replay()
        tracker.end_replay()
        assert len(ctx.progress) == 2

    assert run(scenario).published[-1] == ["a:in_progress", "b:completed"]


def test_a_reconciling_replay_corrects_statuses_of_tools_only() -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        tracker.observe(says(("a", DOING), ("b", "pending")))
        tracker.begin_replay(reconcile=True)
        tracker.observe(says(("a", DONE), ("unknown", DONE)))
        tracker.observe(says(("b", "cancelled"), source="plan"))
        tracker.end_replay()
        assert [(row.text, row.status) for row in tracker.progress.items] == [("a", DONE), ("b", "pending")]
        assert ctx.progress[-1] == (50, None)

    run(scenario)


def test_a_rebuilt_list_is_taken_over() -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        rebuilt = TodoProgress()
        rebuilt.apply(TodoUpdate([TodoItem("", "a", DOING)], merge=False))
        await tracker.use_rebuilt(rebuilt)
        assert tracker.progress is rebuilt
        assert ctx.published == [["a:in_progress"]]
        await tracker.use_rebuilt(TodoProgress())
        await tracker.use_rebuilt(TodoProgress())
        assert ctx.progress == [(0, 'Now working on Task 1/1, "a"'), (None,), (None,)]

    assert run(scenario).published[-1] == []


def test_a_list_survives_in_the_workdir() -> None:
    host = MemoryHost()

    async def first(tracker: TodoTracker, ctx: Ctx) -> None:
        await tracker.save(host)
        assert host.files == {}  # nothing is known yet: what may be there is not overwritten
        tracker.observe(says(("a", DOING), ("b", DONE)))
        await tracker.save(host)

    async def second(tracker: TodoTracker, ctx: Ctx) -> None:
        assert await tracker.restore(host)
        assert ctx.published == [["a:in_progress", "b:completed"]]
        assert ctx.progress == [(50, 'Now working on Task 1/2, "a"')]

    run(first)
    run(second)


@pytest.mark.parametrize("content", [None, b"junk", b"\xff\xfe", b"[" * 200_000])
def test_what_cannot_be_read_is_no_list(content: bytes | None) -> None:
    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        host = MemoryHost()
        if content is not None:
            host.files["/task/.optio-todo.json"] = content
        assert not await tracker.restore(host)
        assert ctx.progress == []
        await tracker.save(host)
        assert host.files == {"/task/.optio-todo.json": b'{"items":[]}'}

    assert run(scenario).published == []


def test_a_host_that_fails_or_hangs_costs_only_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    from optio_agents.todos import storage

    class Broken(MemoryHost):
        async def fetch_bytes_from_host(self, path: str) -> bytes:
            raise ConnectionError("gone")

        async def write_text(self, path: str, text: str) -> None:
            await asyncio.Event().wait()

    async def scenario(tracker: TodoTracker, ctx: Ctx) -> None:
        monkeypatch.setattr(storage, "SECONDS", 0.001)
        assert not await tracker.restore(Broken())
        await tracker.save(Broken())

    run(scenario)
