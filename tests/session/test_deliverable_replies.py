"""The contract for deliverables: which answers accept, which replies the agent gets, what counts as rejected."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from optio_agents import SYSTEM_MESSAGE_PREFIX, HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol.session import (
    DeliverableFile,
    Ending,
    SessionFailed,
    SessionOptions,
    fetch_deliverable_text,
)
from tests.support.bodies import Told, writing
from tests.support.session import MemoryHost, RecordingCtx

ALL = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


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


async def test_the_text_of_a_deliverable_can_be_fetched_by_itself() -> None:
    class Host:
        async def fetch_bytes_from_host(self, path: str) -> bytes:
            return path.encode()

    assert await fetch_deliverable_text(Host(), "/ä") == "/ä"


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
