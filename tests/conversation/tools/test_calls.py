"""Open calls: what the model reads when one fails, and when they end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.bridge.trio_boundary import TrioBoundary
from optio_agents.conversation import ConversationOptions, PermissionDecision
from optio_agents.conversation.tools.calls import OPEN_LIMIT, TURN_ENDED, CallResult, ToolCalls
from optio_agents.conversation.tools.functions import Function, tool_functions
from tests.support.simulated_transport import simulated


def calls(*functions: Function, **options: float) -> ToolCalls:
    return ToolCalls(tool_functions(functions), TrioBoundary(), ConversationOptions(**options))  # type: ignore[arg-type]


async def hang() -> None:
    """Hang."""
    await trio.sleep_forever()


async def add(left: int, right: int = 1) -> int:
    """Add."""
    return left + right


async def fail() -> None:
    """Fail."""
    raise LookupError("no such hut" + "!" * 10_000)


async def odd() -> object:
    """Return what nobody can read."""
    return object()


async def test_a_result_and_each_failure_reach_the_model() -> None:
    tools = calls(add, fail, odd)
    assert await tools.call("add", {"left": 1}) == CallResult('{"result":2}')
    assert await tools.call("add", {}) == CallResult(
        "the arguments of add do not fit: Object missing required field `left`", True
    )
    assert await tools.call("sub", {}) == CallResult(
        "there is no tool 'sub'; the tools are ['add', 'fail', 'odd']", True
    )
    failed = await tools.call("fail", {})
    assert failed.is_error
    assert failed.text.startswith("LookupError: no such hut!!!")
    assert len(failed.text) <= 4000
    assert (await tools.call("odd", {})).text.startswith("TypeError: ")


async def test_a_call_that_takes_too_long_is_cancelled(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    result = await calls(hang, tool_seconds=30).call("hang", {})
    assert result == CallResult("hang took longer than 30 s and was cancelled", True)
    assert trio.current_time() - began == pytest.approx(30)


async def test_past_the_limit_calls_fail_at_once() -> None:
    tools = calls(hang, add)
    async with trio.open_nursery() as nursery:
        for _ in range(OPEN_LIMIT):
            nursery.start_soon(tools.call, "hang", {})
        await wait_all_tasks_blocked()
        refused = await tools.call("add", {"left": 1})
        assert refused == CallResult("64 calls are open already; wait for one of them to end", True)
        nursery.cancel_scope.cancel()
    assert (await tools.call("add", {"left": 1})).text == '{"result":2}'


async def called_in_a_turn(words: str, then: str) -> list[CallResult]:
    """The results of a call that is open while a turn with these words runs, at the turn's end and of a second one."""
    results: list[CallResult] = []
    tools = calls(hang)

    async def call() -> None:
        results.append(await tools.call("hang", {}))

    async with trio.open_nursery() as nursery, simulated() as (conversation, _):
        nursery.start_soon(tools.follow, conversation, conversation.results())
        sent = await conversation.send(words)
        await wait_all_tasks_blocked()
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        if then == "interrupt":
            await conversation.interrupt()
        else:
            (request,) = conversation.permission_requests
            await conversation.decide(request, PermissionDecision("allow"))
        await sent.wait()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return results


@pytest.mark.parametrize(
    ("words", "then", "ended"),
    [
        ("hang", "interrupt", True),
        ("ask:tool say:done", "allow", True),
        ("ask:tool fail", "allow", True),
        # What the agent has left in the background may wait for the call.
        ("later:more+hang ask:tool say:done", "allow", False),
        ("later:more+hang hang", "interrupt", True),
    ],
)
async def test_a_call_ends_with_its_turn(words: str, then: str, ended: bool) -> None:
    assert await called_in_a_turn(words, then) == ([CallResult(TURN_ENDED, True)] if ended else [])


async def test_a_call_of_the_next_turn_outlives_the_end_of_the_one_before() -> None:
    tools = calls(hang)
    results: list[CallResult] = []

    async def call() -> None:
        results.append(await tools.call("hang", {}))

    async with trio.open_nursery() as nursery, simulated() as (conversation, _):
        nursery.start_soon(tools.follow, conversation, conversation.results())
        await conversation.send("hang")
        await conversation.send("hang")
        await wait_all_tasks_blocked()
        await conversation.interrupt()  # the second one begins within it
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        assert results == []
        await conversation.interrupt()
        await wait_all_tasks_blocked()
        assert results == [CallResult(TURN_ENDED, True)]
        nursery.cancel_scope.cancel()
