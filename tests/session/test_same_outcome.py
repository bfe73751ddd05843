"""The same facts give the same outcome under every schedule, and each failure is in it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing

from actors.testing import run_seeded
from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol.session import (
    Ending,
    SessionFailed,
    SessionOptions,
    SessionOutcome,
)
from optio_agents.session.events import SessionEvent
from tests.support.bodies import nothing
from tests.support.session import MemoryHost, RecordingCtx

Clock = trio.testing.MockClock
EVERYTHING = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


@pytest.mark.parametrize("request_type", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize(
    "place",
    ["prepare", "before_execute", "body", "body's cleanup", "on_deliverable", "in the drain", "on_caller_message",
     "agent_sender", "browser_url_rewrite", "ctx.need_attention", "after_execute", "on_event"],
)  # fmt: skip
async def test_a_request_to_exit_comes_out_as_itself_wherever_it_is_raised(
    place: str, request_type: type[BaseException], autojump_clock: Clock
) -> None:
    request, host, ctx, ran = request_type("exit"), MemoryHost(), RecordingCtx(), []

    async def leave(*args: Any) -> None:
        raise request

    def leave_now(*args: Any) -> Any:
        raise request

    async def slow_leave(*args: Any) -> None:
        await trio.sleep(1)
        raise request

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        if place == "body":
            raise request
        host.deliver("a", "a")
        host.write("CALLER_MESSAGE: k 1", "BROWSER: http://x", "ATTENTION: x")
        if place not in ("on_deliverable", "on_caller_message", "agent_sender", "browser_url_rewrite"):
            host.write("DONE")
        try:
            await trio.sleep_forever()
        finally:
            if place == "body's cleanup":
                raise request

    async def after(hook_ctx: HookContext) -> None:
        ran.append("after")
        if place == "after_execute":
            raise request

    arguments: dict[str, Any] = {"on_caller_message": nothing, "agent_sender": nothing}
    if place in ("prepare", "before_execute", "on_deliverable", "on_caller_message", "agent_sender"):
        arguments[place] = leave
    elif place == "in the drain":
        arguments["on_deliverable"] = slow_leave
    elif place == "browser_url_rewrite":
        arguments[place] = leave_now
    elif place == "ctx.need_attention":
        ctx.need_attention = leave  # type: ignore[method-assign, assignment]
    elif place == "on_event":
        arguments["options"] = SessionOptions(on_event=leave_now)
    with pytest.raises(request_type) as caught:
        await run_log_protocol_session(
            host, ctx, body=body, after_execute=after, protocol=EVERYTHING, **arguments
        )
    assert caught.value is request
    assert ran == ["after"]


def test_a_flood_meets_a_callback_that_asks_for_the_exit() -> None:
    # The queue has ended while the parser still announces: that must not hide the request.
    for seed in range(50):
        request = SystemExit(3)

        async def leave(*args: Any) -> None:
            raise request  # noqa: B023

        async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
            while True:
                host.deliver("a", "")
                await trio.lowlevel.checkpoint()

        async def session() -> None:
            with pytest.raises(SystemExit) as caught:
                await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, on_deliverable=leave)
            assert caught.value is request  # noqa: B023

        run_seeded(session, seed=seed)


async def test_the_body_s_crash_is_not_lost_when_the_caller_cancels() -> None:
    outcomes: list[SessionOutcome] = []

    def observe(event: SessionEvent) -> None:
        if hasattr(event, "outcome"):
            outcomes.append(event.outcome)

    with trio.CancelScope() as scope:

        async def body(*args: Any) -> None:
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("in the cleanup")

        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=body, options=SessionOptions(on_event=observe)
        )
    assert scope.cancelled_caught
    assert any("in the cleanup" in problem for problem in outcomes[0].problems)


async def test_an_infrastructure_failure_in_the_drain_does_not_hide_the_error(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("ERROR: the agent's own")
        await trio.sleep_forever()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError(5, "the disk")

    host.open_deliverable = broken  # type: ignore[method-assign]
    with pytest.raises(SessionFailed, match="the agent's own") as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body)
    assert caught.value.outcome.ending is Ending.ERROR
    assert "the disk" in "".join(caught.value.__notes__)


async def test_an_infrastructure_failure_cancels_the_body_at_once(autojump_clock: Clock) -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        await trio.sleep_forever()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError(5, "the disk")

    host.open_deliverable = broken  # type: ignore[method-assign]
    with pytest.raises(SessionFailed, match="fetcher failed: OSError"):
        await run_log_protocol_session(host, RecordingCtx(), body=body)
    assert trio.current_time() == 0.0


async def test_the_outcome_tells_everything(autojump_clock: Clock) -> None:
    host, ctx = MemoryHost(), RecordingCtx()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        await trio.sleep(1)
        return "again" if path == "b" else None

    async def slow(*args: Any) -> None:
        await trio.sleep(2)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        await trio.sleep(3)
        host.deliver("a", "text")
        host.deliver("b", "")
        host.write("CLIENT_MESSAGE: k 1", "DONE: it is finished")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host,
        ctx,
        body=body,
        prepare=slow,
        after_execute=slow,
        on_deliverable=on_deliverable,
        protocol=get_protocol(client_messages=True),
    )
    assert (outcome.ending, outcome.message) == (Ending.DONE, "it is finished")
    first, second = outcome.deliverables
    assert (first.path, first.accepted, first.reply, first.size) == ("a", True, "accepted", 4)
    assert first.sha256 is not None
    assert (second.path, second.accepted, second.reply) == ("b", False, "again")
    assert outcome.rejected == (second,)
    assert outcome.deliverable_count == 2
    assert (outcome.lines, outcome.cut_lines, outcome.lost_bytes, outcome.unsettled) == (4, 0, 0, 0)
    timings = outcome.timings
    assert (timings.setup, timings.run, timings.drain, timings.teardown) == (2.0, 3.0, 2.0, 2.0)


async def test_an_idle_session_takes_no_step(autojump_clock: Clock) -> None:
    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += 1

    steps = Steps()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        await trio.sleep(1)
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(3600)
        trio.lowlevel.remove_instrument(steps)
        host.write("DONE")

    await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)
    assert steps.count <= 2, "the body's own"


@pytest.mark.parametrize("crash_after", [0, 0.001, 0.005, 1])
def test_done_then_a_crash_is_done_under_every_schedule(crash_after: float) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.deliver("a", "")
        host.write("DONE")
        if crash_after:
            await trio.sleep(crash_after)
        raise RuntimeError("crash")

    endings = set()
    for seed in range(50):

        async def session() -> SessionOutcome:
            return await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)

        outcome = run_seeded(session, seed=seed)
        endings.add((outcome.ending, len(outcome.deliverables), outcome.problems))
    ((ending, deliverables, problems),) = endings
    assert (ending, deliverables) == (Ending.DONE, 1)
    assert problems == (() if crash_after else ("Also raised: RuntimeError('crash')",))


@pytest.mark.parametrize("last", ["DONE", "ERROR: x", None])
@pytest.mark.parametrize("crash", [False, True])
def test_the_same_facts_give_the_same_outcome_under_every_schedule(last: str | None, crash: bool) -> None:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*["STATUS: 1% x"] * 20)
        host.deliver("a", "")
        await trio.lowlevel.checkpoint()
        host.write("ATTENTION: y", *([last] if last else []), "STATUS: 2% z")
        if crash:
            raise RuntimeError("crash")

    seen = set()
    for seed in range(50):
        ctx = RecordingCtx()

        async def session() -> Any:
            try:
                outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body)  # noqa: B023
            except SessionFailed as failed:
                return failed.outcome.ending, str(failed), len(failed.outcome.deliverables)
            except RuntimeError as error:
                return repr(error)
            return outcome.ending, outcome.message, len(outcome.deliverables)

        result = run_seeded(session, seed=seed)
        seen.add((result, len(ctx.of("attention"))))
    assert len(seen) == 1, seen


@pytest.mark.parametrize("steps", range(4))
def test_a_crash_at_the_very_moment_of_the_caller_s_cancel_is_told_under_every_schedule(steps: int) -> None:
    for seed in range(50):
        outcomes: list[SessionOutcome] = []

        def observe(event: SessionEvent) -> None:
            if hasattr(event, "outcome"):
                outcomes.append(event.outcome)  # noqa: B023

        async def session() -> None:
            crashing = trio.Event()

            async def body(*args: Any) -> None:
                crashing.set()
                raise ValueError("in the end")

            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def cancel() -> None:
                    await crashing.wait()
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()

                with suppress(ValueError):
                    await run_log_protocol_session(
                        MemoryHost(), RecordingCtx(), body=body, options=SessionOptions(on_event=observe)
                    )

        run_seeded(session, seed=seed)
        assert "in the end" in f"{outcomes[0].message}{outcomes[0].problems}", seed
