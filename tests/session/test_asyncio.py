"""The same session awaited under asyncio, where all callers of today live: asyncio callables, the same outcomes."""

from __future__ import annotations

import asyncio
from typing import Any

import optio_host.host
import pytest

from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol.session import Ending, SessionFailed, SessionOptions, SessionOutcome
from tests.support.session import MemoryHost, RecordingCtx


class AsyncioCtx(RecordingCtx):
    """A ctx of the asyncio world."""

    def __init__(self) -> None:
        super().__init__()
        self.cancellation_flag = asyncio.Event()  # type: ignore[assignment]

    async def need_attention(self, reason: str) -> None:
        await asyncio.sleep(0)
        self._record("attention", reason)


async def for_ever(*args: Any) -> None:
    await asyncio.Event().wait()


def session(host: MemoryHost, ctx: AsyncioCtx, **arguments: Any) -> Any:
    return asyncio.wait_for(run_log_protocol_session(host, ctx, **arguments), 60)


def test_everything_is_called_in_the_caller_s_loop() -> None:
    told: list[str] = []
    called: list[str] = []

    async def main() -> SessionOutcome:
        host, ctx, loop = MemoryHost(), AsyncioCtx(), asyncio.get_running_loop()

        def noting(name: str, answer: Any = None) -> Any:
            async def callback(*args: Any) -> Any:
                await asyncio.sleep(0)
                assert asyncio.get_running_loop() is loop
                called.append(name)
                return answer

            return callback

        async def sender(text: str) -> None:
            await asyncio.sleep(0)
            told.append(text)

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            host.deliver("a", "a")
            host.write("CALLER_MESSAGE: k 1", "ATTENTION: x", "DONE: fine")
            await for_ever()

        outcome: SessionOutcome = await session(
            host,
            ctx,
            body=body,
            prepare=noting("prepare"),
            before_execute=noting("before"),
            after_execute=noting("after"),
            on_deliverable=noting("deliverable"),
            on_caller_message=noting("message", "an answer"),
            agent_sender=sender,
            protocol=get_protocol(caller_messages=True),
        )
        assert ctx.of("attention") == [("x",)]
        return outcome

    outcome = asyncio.run(main())
    assert (outcome.ending, outcome.message) == (Ending.DONE, "fine")
    assert sorted(called) == ["after", "before", "deliverable", "message", "prepare"]
    assert sorted(told) == ["System: an answer", "System: deliverable a: accepted"]


@pytest.mark.parametrize("stubborn", [False, True])
def test_optio_s_cancel_returns_and_the_caller_s_is_raised(stubborn: bool) -> None:
    async def main(way: str) -> None:
        ctx, ran = AsyncioCtx(), []
        release = asyncio.Event()

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            if way == "optio":
                ctx.cancellation_flag.set()
            else:
                task.cancel()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    if not stubborn:
                        raise

        async def after(hook_ctx: HookContext) -> None:
            await asyncio.sleep(0)
            ran.append("after")

        task = asyncio.ensure_future(
            run_log_protocol_session(
                MemoryHost(), ctx, body=body, after_execute=after, options=SessionOptions(cancel_grace=0.05)
            )
        )
        await asyncio.wait([task], timeout=60)
        assert ran == ["after"]
        if way == "optio":
            outcome = task.result()
            assert outcome.ending is Ending.CANCELLED
            assert len(outcome.abandoned) == stubborn
        else:
            assert task.cancelled()
        release.set()
        await asyncio.sleep(0.01)

    asyncio.run(main("optio"))
    asyncio.run(main("caller"))


def test_a_callback_that_swallows_its_cancellation_does_not_get_the_next_deliverable() -> None:
    async def main() -> tuple[list[str], SessionOutcome]:
        ctx, called = AsyncioCtx(), []

        async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
            called.append(path)
            ctx.cancellation_flag.set()
            try:
                await for_ever()
            except asyncio.CancelledError:
                return

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            for name in "abc":
                host.deliver(name, "")
            await for_ever()

        return called, await session(MemoryHost(), ctx, body=body, on_deliverable=on_deliverable)

    called, outcome = asyncio.run(main())
    assert called == ["a"]
    assert outcome.ending is Ending.CANCELLED
    assert outcome.abandoned == ()


def test_a_cancellation_that_escapes_from_a_callback_is_reported_and_the_session_goes_on() -> None:
    async def main() -> SessionOutcome:
        async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
            if path == "a":
                inner = asyncio.ensure_future(for_ever())
                inner.cancel()
                await inner

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            host.deliver("a", "")
            host.deliver("b", "")
            host.write("DONE")
            await for_ever()

        outcome: SessionOutcome = await session(
            MemoryHost(), AsyncioCtx(), body=body, on_deliverable=on_deliverable
        )
        return outcome

    outcome = asyncio.run(main())
    assert outcome.ending is Ending.DONE
    assert [record.failed for record in outcome.deliverables] == [True, False]


def test_what_the_body_raises_is_raised_the_same_object() -> None:
    crash = ValueError("crash")

    async def main() -> None:
        async def body(*args: Any) -> None:
            raise crash

        await session(MemoryHost(), AsyncioCtx(), body=body)

    with pytest.raises(ValueError) as caught:
        asyncio.run(main())
    assert caught.value is crash


def test_error_is_a_failure() -> None:
    async def main() -> None:
        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            host.write("ERROR: enough")
            await for_ever()

        await session(MemoryHost(), AsyncioCtx(), body=body)

    with pytest.raises(SessionFailed, match="enough"):
        asyncio.run(main())


@pytest.mark.parametrize("place", ["body", "on_deliverable", "after_execute"])
def test_a_request_to_exit_comes_out_as_itself(place: str) -> None:
    async def main() -> None:
        async def leave(*args: Any) -> None:
            raise SystemExit(3)

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            host.deliver("a", "")
            host.write("DONE")
            await for_ever()

        arguments = {"body": body, place: leave}
        await session(MemoryHost(), AsyncioCtx(), **arguments)

    with pytest.raises(SystemExit) as caught:
        asyncio.run(main())
    assert caught.value.code == 3


def test_the_last_hook_runs_marked_as_an_unwind_for_optio_host() -> None:
    marked: list[tuple[str, bool]] = []

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        marked.append(("body", optio_host.host._unwind_tracing.get()))
        host.write("DONE")

    async def after_execute(hook_ctx: HookContext) -> None:
        marked.append(("after_execute", optio_host.host._unwind_tracing.get()))

    asyncio.run(session(MemoryHost(), AsyncioCtx(), body=body, after_execute=after_execute))
    assert marked == [("body", False), ("after_execute", True)]
