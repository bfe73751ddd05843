"""What callers of `run_log_protocol_session` rely on, row by row."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing

from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol import session as session_module
from optio_agents.protocol.session import (
    Ending,
    SessionFailed,
    SessionOptions,
    _SessionFailed,
)
from tests.support.bodies import Told, nothing, writing
from tests.support.session import MemoryHost, RecordingCtx

ALL = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"protocol": ALL}, "no on_caller_message"),
        ({"on_caller_message": nothing}, "does not enable it"),
        ({"on_caller_message": nothing, "protocol": get_protocol()}, "does not enable it"),
        ({"on_deliverable": nothing, "on_deliverable_file": nothing}, "not both"),
    ],
)
async def test_contradicting_arguments_are_refused_before_the_host_is_touched(
    arguments: dict[str, Any], text: str
) -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    with pytest.raises(ValueError, match=text):
        await run_log_protocol_session(host, ctx, body=nothing, after_execute=nothing, **arguments)
    assert host.calls == []
    assert ctx.calls == []


@pytest.mark.parametrize(
    "bad", [{"text_limit": -1}, {"drain_timeout": -1.0}, {"cancel_grace": float("nan")}, {"progress": "some"}]
)
def test_options_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SessionOptions(**bad)


def test_the_failure_has_the_name_that_callers_import() -> None:
    assert _SessionFailed is SessionFailed
    assert session_module._SessionFailed is session_module.SessionFailed


async def test_the_phases_come_in_order_and_the_host_is_prepared_between_them() -> None:
    host, order = MemoryHost(), []

    def noting(name: str) -> Any:
        async def hook(*args: Any) -> None:
            order.append((name, list(host.calls), args[-1].browser_launch_env is not None))

        return hook

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        await noting("body")(hook_ctx)
        host.write("DONE")

    await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=body,
        prepare=noting("prepare"),
        before_execute=noting("before"),
        after_execute=noting("after"),
        protocol=get_protocol(browser="suppress"),
    )
    everything = ["setup_workdir", "prepare_channel", "install_scripts"]
    assert order == [
        ("prepare", ["setup_workdir"], False),
        ("before", everything, True),
        ("body", everything, True),
        ("after", everything, True),
    ]
    assert host.calls == everything


async def test_hooks_get_the_caller_s_own_host_and_one_context() -> None:
    host, seen = MemoryHost(), []

    async def both(*args: Any) -> None:
        seen.append(args)

    async def one(*args: Any) -> None:
        seen.append((host, *args))

    async def body(*args: Any) -> None:
        seen.append(args)
        host.write("DONE")

    await run_log_protocol_session(
        host, RecordingCtx(), body=body, prepare=both, before_execute=one, after_execute=one
    )
    assert len(seen) == 4
    assert all(args[0] is host and args[1] is seen[0][1] for args in seen)


@pytest.mark.parametrize("phase", ["setup_workdir", "prepare", "prepare_channel", "before_execute"])
async def test_a_set_up_that_fails_raises_the_same_object_and_after_execute_runs(
    phase: str, autojump_clock: trio.testing.MockClock
) -> None:
    crash, ran, host = OSError(28, "no space"), [], MemoryHost()

    async def fail(*args: Any) -> None:
        raise crash

    async def after(hook_ctx: HookContext) -> None:
        ran.append("after")

    hooks: dict[str, Any] = {}
    if phase in ("prepare", "before_execute"):
        hooks[phase] = fail
    else:
        setattr(host, phase, fail)

    async def body(*args: Any) -> None:
        ran.append("body")

    began = trio.current_time()
    with pytest.raises(OSError) as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body, after_execute=after, **hooks)
    assert caught.value is crash
    assert ran == ["after"]
    assert trio.current_time() == began, "no wait"


async def test_statuses_and_plain_lines_are_progress() -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    await run_log_protocol_session(
        host,
        ctx,
        body=writing("STATUS: 250% much", "STATUS: no number", "", "   ", "plain text", "DONE: the end"),
    )
    assert ctx.of("progress") == [(100, "much"), (None, "no number"), (None, "plain text"), (None, "the end")]


async def test_requests_go_to_the_ctx() -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    await run_log_protocol_session(
        host,
        ctx,
        body=writing('BROWSER: "http://a"', "ATTENTION: a human", 'CLIENT_MESSAGE: key {"a": [1]}', "DONE"),
        protocol=get_protocol(browser="redirect", client_messages=True),
        browser_url_rewrite=lambda url: f"{url}/b",
    )
    assert ctx.of("browser") == [("http://a/b",)]
    assert ctx.of("attention") == [("a human",)]
    assert ctx.of("client") == [("key", {"a": [1]})]


async def test_requests_reach_the_ctx_in_the_logs_order() -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    lines = [
        line for n in range(9) for line in (f"CLIENT_MESSAGE: k {n}", f'BROWSER: "{n}"', f"ATTENTION: {n}")
    ]
    await run_log_protocol_session(
        host,
        ctx,
        body=writing(*lines, "DONE"),
        protocol=get_protocol(browser="redirect", client_messages=True),
    )
    called = [(name, args[-1]) for name, args in ctx.calls if name != "progress"]
    assert called == [
        each for n in range(9) for each in (("client", n), ("browser", str(n)), ("attention", str(n)))
    ]


async def test_keywords_that_are_off_are_plain_text() -> None:
    host, ctx = MemoryHost(), RecordingCtx()
    await run_log_protocol_session(
        host, ctx, body=writing("BROWSER: http://a", "CLIENT_MESSAGE: a 1", "CALLER_MESSAGE: b 2", "DONE")
    )
    assert [name for name, _ in ctx.calls] == ["progress"] * 3


async def test_caller_messages_are_answered_where_the_callback_returns_text() -> None:
    host, told, got = MemoryHost(), Told(), []
    answers = {"a": "yes", "b": None, "c": "  ", "d": 17}

    async def on_caller_message(hook_ctx: HookContext, keyword: str, data: Any) -> Any:
        got.append((keyword, data))
        return answers[keyword]

    await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing(*(f"CALLER_MESSAGE: {keyword} [1]" for keyword in answers), "DONE"),
        protocol=get_protocol(caller_messages=True),
        on_caller_message=on_caller_message,
        agent_sender=told,
    )
    assert got == [(keyword, [1]) for keyword in answers]
    assert told.texts == ["System: yes"]


async def test_nothing_after_done_is_read() -> None:
    host, ctx, got = MemoryHost(), RecordingCtx(), []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        got.append(path)

    host.deliverables["a"] = b"a"
    outcome = await run_log_protocol_session(
        host,
        ctx,
        body=writing("DONE", "ERROR: late", "DELIVERABLE: deliverables/a", "STATUS: 1% late"),
        on_deliverable=on_deliverable,
    )
    assert outcome.ending is Ending.DONE
    assert ctx.messages == []
    assert got == []


async def test_a_caller_that_ignores_the_outcome_loses_nothing() -> None:
    host = MemoryHost()
    await run_log_protocol_session(host, RecordingCtx(), body=writing("DONE"))


async def test_error_without_a_message_has_one() -> None:
    with pytest.raises(SessionFailed, match="agent reported ERROR"):
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=writing("ERROR"))


async def test_after_execute_s_failure_surfaces_if_the_session_was_healthy() -> None:
    crash = ValueError("cleanup")

    async def after(hook_ctx: HookContext) -> None:
        raise crash

    with pytest.raises(ValueError) as caught:
        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing("DONE"), after_execute=after
        )
    assert caught.value is crash


async def test_error_a_crash_in_the_cleanup_and_one_in_after_execute_are_all_visible() -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("ERROR: the first")
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("the second")

    async def after(hook_ctx: HookContext) -> None:
        raise ValueError("the third")

    with pytest.raises(SessionFailed, match="the first") as caught:
        await run_log_protocol_session(host, RecordingCtx(), body=body, after_execute=after)
    assert [type(other) for other in caught.value.others] == [KeyError, ValueError]
    assert len(caught.value.__notes__) == 2
    assert caught.value.outcome.ending is Ending.ERROR


async def test_a_crash_of_the_body_and_one_in_after_execute_are_both_visible() -> None:
    crash = KeyError("the first")

    async def body(*args: Any) -> None:
        raise crash

    async def after(hook_ctx: HookContext) -> None:
        raise ValueError("the second")

    with pytest.raises(KeyError) as caught:
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, after_execute=after)
    assert caught.value is crash
    assert "the second" in caught.value.__notes__[0]


async def test_without_keywords_the_body_s_return_is_the_end_and_no_log_is_followed() -> None:
    host, ctx, ran = MemoryHost(), RecordingCtx(), []

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("ERROR: nobody reads this", "STATUS: 1% nor this")
        assert hook_ctx.browser_launch_env is not None
        assert host.readers == 0
        ran.append("body")

    async def after(hook_ctx: HookContext) -> None:
        ran.append("after")

    outcome = await run_log_protocol_session(
        host, ctx, body=body, after_execute=after, keywords=False, protocol=get_protocol(browser="suppress")
    )
    assert ran == ["body", "after"]
    assert ctx.calls == []
    assert outcome.ending is Ending.BODY_ENDED
    assert host.calls == ["setup_workdir", "prepare_channel", "install_scripts"]


async def test_without_keywords_a_crash_of_the_body_is_raised() -> None:
    crash = ValueError()

    async def body(*args: Any) -> None:
        raise crash

    with pytest.raises(ValueError) as caught:
        await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body, keywords=False)
    assert caught.value is crash


class ThinCtx:
    """The least that a ctx may have."""

    def __init__(self) -> None:
        self.progress: list[tuple[float | None, str | None]] = []
        self.goes_on = True

    def report_progress(self, percent: float | None, message: str | None = None) -> None:
        self.progress.append((percent, message))

    def should_continue(self) -> bool:
        return self.goes_on


async def test_a_thin_ctx_is_enough() -> None:
    ctx = ThinCtx()
    outcome = await run_log_protocol_session(
        MemoryHost(),
        ctx,
        body=writing("STATUS: 1% x", "ATTENTION: y", "CLIENT_MESSAGE: z 1", "BROWSER: http://w", "DONE"),
        protocol=get_protocol(browser="redirect", client_messages=True),
    )
    assert outcome.ending is Ending.DONE
    assert len(outcome.problems) == 3, "what the ctx could not be asked for"
    assert any("y" in problem for problem in outcome.problems)


async def test_a_thin_ctx_can_cancel(autojump_clock: trio.testing.MockClock) -> None:
    ctx = ThinCtx()

    async def body(*args: Any) -> None:
        ctx.goes_on = False
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body)
    assert outcome.ending is Ending.CANCELLED


async def test_a_ctx_with_progress_alone_is_enough() -> None:
    class OnlyProgress:
        def report_progress(self, percent: float | None, message: str | None = None) -> None:
            pass

    outcome = await run_log_protocol_session(MemoryHost(), OnlyProgress(), body=writing("DONE"))
    assert outcome.ending is Ending.DONE


async def test_a_sender_that_the_body_sets_is_used() -> None:
    told = Told()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        hook_ctx._agent_sender = told
        host.deliver("a", "a")
        host.write("DONE")

    await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=body)
    assert len(told.texts) == 1


async def test_without_a_sender_progress_says_so_once() -> None:
    ctx = RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for name in "abc":
            host.deliver(name, "")
            await trio.testing.wait_all_tasks_blocked()
        host.write("DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(MemoryHost(), ctx, body=body)
    assert outcome.ending is Ending.DONE
    assert len(outcome.deliverables) == 3
    assert sum("no channel" in message for message in ctx.messages) == 1


@pytest.mark.parametrize("last", ["DONE: the end", "ERROR: the end", None])
async def test_progress_that_was_held_back_is_reported_before_the_end(
    last: str | None, autojump_clock: trio.testing.MockClock
) -> None:
    ctx = RecordingCtx()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        for number in range(30):  # more than optio keeps in a tenth of a second
            host.write(f"STATUS: {number}% line {number}")
            await trio.testing.wait_all_tasks_blocked()
        if last is not None:
            host.write(last)
            await trio.sleep_forever()

    with suppress(SessionFailed):
        await run_log_protocol_session(MemoryHost(), ctx, body=body)
    messages = [message for message in ctx.messages if message != "the end"]
    assert len(messages) < 30, "some were held back"
    assert "line 29" in messages[-1]
    assert ctx.messages[-1] == ("the end" if last == "DONE: the end" else messages[-1])
