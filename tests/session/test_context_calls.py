"""Calls of the ctx: in turn, each settled, a failure being that line's problem."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from optio_agents.bridge import TrioBoundary
from optio_agents.session.context_calls import ContextCalls
from optio_agents.session.log_order import LogOrder
from optio_agents.session.optio_context import METHODS
from optio_agents.session.recorder import Recorder
from tests.support.session import RecordingCtx


class Calling:
    def __init__(self, keyword: str, ctx: Any = None, rewrite: Any = None) -> None:
        self.ctx = RecordingCtx() if ctx is None else ctx
        self.order = LogOrder()
        self.settled = 0
        recorder = Recorder(self.ctx, None)
        self.calls = ContextCalls(
            keyword, TrioBoundary(), self.ctx, recorder, self.order, rewrite=rewrite, grace=5.0
        )
        self.keyword = keyword

    async def handle(self, *items: list[str]) -> None:
        def settle() -> None:
            self.settled += 1

        for _ in items:
            self.order.put(self.keyword)
        await self.calls.handle(list(items), settle)


@pytest.mark.parametrize(
    ("keyword", "items", "name", "calls"),
    [
        ("ATTENTION", [["a"], ["b"]], "attention", [("a",), ("b",)]),
        ("BROWSER", [["https://a"]], "browser", [("https://a",)]),
        ("CLIENT_MESSAGE", [["k", '{"x": [1]}']], "client", [("k", {"x": [1]})]),
    ],
)
async def test_each_kind_has_its_method(keyword: str, items: Any, name: str, calls: Any) -> None:
    calling = Calling(keyword)
    await calling.handle(*items)
    assert calling.ctx.of(name) == calls
    assert calling.settled == len(items)
    assert calling.ctx.messages == []


async def test_only_urls_are_rewritten() -> None:
    def rewrite(url: str) -> str:
        return url + "/rewritten"

    browser, attention = Calling("BROWSER", rewrite=rewrite), Calling("ATTENTION", rewrite=rewrite)
    await browser.handle(["https://a"])
    await attention.handle(["look"])
    assert browser.ctx.of("browser") == [("https://a/rewritten",)]
    assert attention.ctx.of("attention") == [("look",)]


async def test_one_that_fails_is_reported_and_the_next_is_made() -> None:
    class Ctx(RecordingCtx):
        async def need_attention(self, reason: str) -> None:
            if reason != "b":
                raise LookupError("no database")
            await super().need_attention(reason)

    calling = Calling("ATTENTION", Ctx())
    await calling.handle(["a\x1b"], ["b"])
    assert calling.ctx.of("attention") == [("b",)]
    assert calling.settled == 2
    (message,) = calling.ctx.messages
    assert "ATTENTION could not be passed on (LookupError('no database')): a" in message
    assert "\x1b" not in message


@pytest.mark.parametrize("keyword", list(METHODS))
async def test_a_ctx_without_the_method_is_named(keyword: str) -> None:
    class Ctx:
        messages: list[str] = []  # noqa: RUF012 - one test

        def report_progress(self, percent: Any, message: str) -> None:
            reported.append(message)

    reported: list[str] = []
    calling = Calling(keyword, Ctx())
    await calling.handle(["x", "1"])
    assert reported == [f"{keyword} could not be passed on (the context has no {METHODS[keyword]}): x"]
    assert calling.settled == 1


async def test_it_waits_for_its_turn_in_the_log_and_gives_it_on() -> None:
    calling = Calling("BROWSER")
    calling.order.put("ATTENTION")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calling.handle, ["https://a"])
        await trio.testing.wait_all_tasks_blocked()
        calling.order.put("CLIENT_MESSAGE")
        assert (calling.ctx.calls, calling.settled) == ([], 0)
        calling.order.settle("ATTENTION")
    assert calling.ctx.of("browser") == [("https://a",)]
    with trio.fail_after(0.1):
        await calling.order.turn("CLIENT_MESSAGE")
