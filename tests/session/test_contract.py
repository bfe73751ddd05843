"""What callers of `run_log_protocol_session` rely on, row by row."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing

from optio_agents import SYSTEM_MESSAGE_PREFIX, HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol import session as session_module
from optio_agents.protocol.session import (
    DeliverableFile,
    Ending,
    SessionFailed,
    SessionOptions,
    _SessionFailed,
    fetch_deliverable_text,
)
from tests.support.session import MemoryHost, RecordingCtx

ALL = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


def writing(*lines: str) -> Any:
    """A body that writes these lines and works on."""

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*lines)
        await trio.sleep_forever()

    return body


async def nothing(*args: Any) -> None:
    await trio.lowlevel.checkpoint()


class Told:
    """An input channel of an agent."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.texts.append(text)


# Arguments.


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


# Set-up.


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
    assert trio.current_time() == began, "nobody is waited for"


# One line of each kind.


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


# Deliverables and their replies.


@pytest.mark.parametrize("answer", [None, "", " \n", "ok", "OK", " Ok "])
async def test_these_answers_mean_accepted(answer: str | None) -> None:
    host, told = MemoryHost(), Told()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str | None:
        return answer

    host.deliverables["a.txt"] = b"a"
    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing("DELIVERABLE: deliverables/a.txt", "DONE"),
        on_deliverable=on_deliverable,
        agent_sender=told,
    )
    (text,) = told.texts
    assert text.startswith(f"{SYSTEM_MESSAGE_PREFIX}deliverable a.txt: accepted")
    assert outcome.deliverables[0].accepted


async def test_any_other_answer_is_passed_on_as_it_is() -> None:
    host, told = MemoryHost(), Told()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str:
        return "okay, but: add a title"

    host.deliverables["deep/a.txt"] = b"a"
    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing("DELIVERABLE: ./deliverables/deep/a.txt", "DONE"),
        on_deliverable=on_deliverable,
        agent_sender=told,
    )
    assert told.texts == ["System: deliverable a.txt: okay, but: add a title"]
    assert not outcome.deliverables[0].accepted
    assert outcome.deliverables[0].path == "deep/a.txt"


@pytest.mark.parametrize("wrong", [ValueError("disk full"), 17])
async def test_a_callback_that_fails_is_our_trouble_and_not_the_agent_s(wrong: Any) -> None:
    host, ctx, told = MemoryHost(), RecordingCtx(), Told()

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    host.deliverables["a.txt"] = b"a"
    outcome = await run_log_protocol_session(
        host,
        ctx,
        body=writing("DELIVERABLE: deliverables/a.txt", "DONE"),
        on_deliverable=on_deliverable,
        agent_sender=told,
    )
    (text,) = told.texts
    assert "our side" in text
    assert "resumed" in text
    assert outcome.deliverables[0].failed
    assert len(outcome.problems) == 1


async def test_without_a_callback_a_deliverable_is_still_read_and_answered() -> None:
    host, told = MemoryHost(), Told()
    host.deliverables["a"] = b"abc"
    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing("DELIVERABLE: deliverables/a", "DELIVERABLE: deliverables/b", "DONE"),
        agent_sender=told,
    )
    assert [text.split()[3] for text in told.texts] == ["accepted", "rejected:"]
    assert outcome.deliverables[0].size == 3


async def test_a_file_callback_gets_any_content() -> None:
    host, content = MemoryHost(), bytes(range(256)) * 4000
    host.deliverables["a.bin"] = content
    got: list[Any] = []

    async def on_file(hook_ctx: HookContext, file: DeliverableFile) -> None:
        got.extend([file.path, file.size, await file.sha256(), await file.read()])
        with pytest.raises(UnicodeDecodeError):
            await file.text()

    outcome = await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing("DELIVERABLE: deliverables/a.bin", "DONE"),
        on_deliverable_file=on_file,
    )
    record = outcome.deliverables[0]
    assert got == ["a.bin", len(content), record.sha256, content]


# How it ends.


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


# Strictness.


async def test_a_rejected_deliverable_is_listed_and_only_strict_makes_it_a_failure() -> None:
    lines = ("DELIVERABLE: deliverables/none.txt", "DONE")
    outcome = await run_log_protocol_session(MemoryHost(), RecordingCtx(), body=writing(*lines))
    assert [record.path for record in outcome.rejected] == ["none.txt"]
    with pytest.raises(SessionFailed, match=r"none\.txt") as caught:
        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=writing(*lines), options=SessionOptions(strict=True)
        )
    assert caught.value.outcome.ending is Ending.FAILED


async def test_one_that_is_redone_under_another_spelling_of_its_path_counts_as_redone() -> None:
    host = MemoryHost()

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write("DELIVERABLE: ./deliverables/a.txt")
        await trio.testing.wait_all_tasks_blocked()
        host.deliverables["a.txt"] = b"now it is there"
        host.write("DELIVERABLE: deliverables/a.txt", "DONE")
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(
        host, RecordingCtx(), body=body, options=SessionOptions(strict=True)
    )
    assert [record.accepted for record in outcome.deliverables] == [False, True]
    assert outcome.rejected == ()


async def test_strictness_does_not_forget_what_is_past_the_bound_of_its_books() -> None:
    lines = [f"DELIVERABLE: deliverables/{number}" for number in range(1200)]

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*lines)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(1000):  # what the books can hold is redone
            host.deliverables[str(number)] = b""
        host.write(*lines[:1000], "DONE")
        await trio.sleep_forever()

    with pytest.raises(SessionFailed, match="not accepted"):
        await run_log_protocol_session(
            MemoryHost(), RecordingCtx(), body=body, options=SessionOptions(strict=True)
        )


# Thin doubles.


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


async def test_the_text_of_a_deliverable_can_be_fetched_by_itself() -> None:
    class Host:
        async def fetch_bytes_from_host(self, path: str) -> bytes:
            return path.encode()

    assert await fetch_deliverable_text(Host(), "/ä") == "/ä"


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


async def test_what_callbacks_answer_reaches_the_agent_without_white_space_around_it() -> None:
    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> str:
        return "  make it shorter\n"

    async def on_caller_message(hook_ctx: HookContext, keyword: str, data: Any) -> str:
        return " noted "

    host, told = MemoryHost(), Told()
    host.deliverables["text"] = b"x"
    await run_log_protocol_session(
        host,
        RecordingCtx(),
        body=writing("DELIVERABLE: deliverables/text", "CALLER_MESSAGE: k 1", "DONE"),
        protocol=ALL,
        on_deliverable=on_deliverable,
        on_caller_message=on_caller_message,
        agent_sender=told,
    )
    assert sorted(told.texts) == ["System: deliverable text: make it shorter", "System: noted"]
