"""What fails, hangs or has ended: no message is lost with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from optio_agents.conversation import ConversationClosed
from optio_agents.steering import BusySend, SteeringQueueFull, message_queue, steering as steering_module
from tests.steering.steered import MARK, NATIVE, QUEUED, TAKEN, Steered, run


def test_a_message_that_waits_for_nothing_fails_with_its_own_error() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.failures = [RuntimeError("refused")]
        with pytest.raises(RuntimeError, match="refused"):
            await steered.steering.send_when_ready("a")
        await steered.settle()
        assert steered.logged() == []
        assert (steered.steering.held_ids, steered.steering.pending_ids) == ([], [])

    run("unsafe", scenario)


@pytest.mark.parametrize("value", ["queues-to-end", "unsafe"])
def test_a_message_that_was_announced_is_kept_when_it_could_not_cut_in(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.failures = [RuntimeError("refused")]
        assert await steered.steering.interrupt_and_send("a") == "m1"
        assert steered.logged() == [(QUEUED, "m1", "a"), (QUEUED, "m1", "a", True)]
        steered.agent.tells(type="other")
        await steered.settle()
        assert "a" in [each[0] for each in steered.logged()]

    run(value, scenario)


def test_what_is_held_is_not_lost_when_sending_fails() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.send_when_ready("a")
        await steered.steering.send_when_ready("b")
        steered.logged()
        steered.agent.failures = [RuntimeError("refused")]
        steered.agent.ends_its_turn()
        await steered.settle()
        # It was announced as taken, so it is announced as waiting again.
        assert steered.logged() == [
            (TAKEN, ["m1", "m2"]),
            (QUEUED, "m1", "a", True),
            (QUEUED, "m2", "b", True),
        ]
        assert steered.steering.held_ids == ["m1", "m2"]
        steered.agent.tells(type="other")
        await steered.settle()
        assert steered.logged() == [(TAKEN, ["m1", "m2"]), ("a\n\nb", None)]

    run("unsafe", scenario)


def test_a_message_that_was_never_written_is_not_in_flight() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        steered.agent.failures = [RuntimeError("refused"), RuntimeError("refused")]
        assert (await steered.steering.send_when_ready("a")).queued
        assert (await steered.steering.send_when_ready("b")).queued
        assert (steered.steering.in_flight_id, steered.steering.pending_ids) == (None, ["m1", "m2"])
        steered.agent.tells(type="other")
        await steered.settle()
        assert steered.logged()[-1] == ("a\n\n", "m1")
        assert (steered.steering.in_flight_id, steered.steering.pending_ids) == ("m1", ["m2"])

    run("queues-to-end", scenario)


def test_an_interrupt_that_fails_can_be_tried_again() -> None:
    async def scenario(steered: Steered) -> None:
        async def fail() -> None:
            raise RuntimeError("no")

        steered.agent.works = True
        interrupt, steered.agent.interrupt = steered.agent.interrupt, fail  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            await steered.steering.interrupt()
        steered.agent.interrupt = interrupt  # type: ignore[method-assign]
        steered.logged()
        await steered.steering.interrupt()
        assert steered.logged() == [MARK, "interrupt"]

    run("unsafe", scenario)


@pytest.mark.parametrize("value", ["queues-to-end", "unsafe"])
def test_a_turn_that_does_not_end_is_not_waited_for_for_ever(
    value: BusySend, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        assert await steered.steering.interrupt_and_send("now") == "m1"
        assert ("now" + "\n\n" * (value in NATIVE), "m1") in steered.logged()
        assert "no turn end" in caplog.text

    run(value, scenario, turn_end_timeout_s=0.001)


@pytest.mark.parametrize("value", ["queues-to-end", "unsafe"])
def test_cutting_in_is_not_delayed_by_a_send_that_hangs(
    value: BusySend, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.hangs = True
        hanging = asyncio.create_task(steered.steering.send_when_ready("a"))
        await asyncio.sleep(0)
        steered.agent.works = True
        await steered.steering.interrupt()
        assert await steered.steering.interrupt_and_send("now") == "m2"
        assert "did not accept a message within" in caplog.text
        hanging.cancel()
        await asyncio.wait([hanging])

    run(value, scenario, turn_end_timeout_s=0.001)


def test_a_send_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(steered: Steered) -> None:
        monkeypatch.setattr(steering_module, "SEND_TIMEOUT_S", 0.001)
        steered.agent.hangs = True
        with pytest.raises(TimeoutError):
            await steered.steering.send_when_ready("a")
        steered.agent.works = True
        assert (await steered.steering.send_when_ready("b")).queued
        steered.agent.hangs = False
        steered.agent.ends_its_turn()
        await steered.settle()
        assert steered.logged() == [(QUEUED, "m2", "b", True), ("b\n\n", "m2")]

    run("queues-to-end", scenario)


@pytest.mark.parametrize("value", ["queues-to-end", "unsafe"])
def test_the_queue_is_bounded(value: BusySend, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(steered: Steered) -> None:
        monkeypatch.setattr(message_queue, "QUEUE_LIMIT", 2)
        steered.agent.works = True
        accepted = []
        with pytest.raises(SteeringQueueFull, match="2 messages wait already"):
            for number in range(10):
                accepted.append(await steered.steering.send_when_ready(str(number)))
        assert len(accepted) == (3 if value in NATIVE else 2)
        steered.logged()
        with pytest.raises(SteeringQueueFull):
            await steered.steering.requeue([("o", "x")])
        with pytest.raises(SteeringQueueFull):
            await steered.steering.interrupt_and_send("x")
        assert steered.logged() == []

    run(value, scenario)


@pytest.mark.parametrize("value", ["queues-to-end", "unsafe"])
def test_closing_says_what_was_not_delivered(value: BusySend, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        for text in "abc":
            await steered.steering.send_when_ready(text)
        waiting = (steered.steering.held_ids, steered.steering.pending_ids)
        steered.logged()
        steered.steering.close()
        steered.steering.close()
        assert len(caplog.records) == 1
        assert "not delivered: m1, m2, m3" in caplog.text
        steered.agent.ends_its_turn()
        await steered.settle()
        assert steered.logged() == []
        assert (steered.steering.held_ids, steered.steering.pending_ids) == waiting

    run(value, scenario)


def test_closing_stops_a_send_in_progress(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = steered.agent.hangs = True
        sending = asyncio.create_task(steered.steering.send_when_ready("a"))
        await asyncio.sleep(0)
        steered.steering.close()
        assert (await sending).queued
        assert "m1" in caplog.text
        assert steered.steering.pending_ids == ["m1"]

    run("queues-to-end", scenario)


@pytest.mark.parametrize("how", ["the conversation has ended", "it was closed"])
def test_after_the_end_nothing_is_accepted(how: str) -> None:
    async def scenario(steered: Steered) -> None:
        if how == "it was closed":
            steered.steering.close()
        else:
            steered.agent.closed = True
        for call in (
            steered.steering.send_when_ready("a"),
            steered.steering.interrupt_and_send("a"),
            steered.steering.requeue([("o", "a")]),
            steered.steering.interrupt(),
        ):
            with pytest.raises(ConversationClosed):
                await call
        assert steered.logged() == []

    run("queues-to-end", scenario)


def test_failing_callbacks_do_not_reach_the_conversation(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("boom")

    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        assert (await steered.steering.send_when_ready("a")).queued
        steered.agent.tells(type="other")
        steered.agent.ends_its_turn()
        await steered.settle()
        assert steered.logged() == [("a", None)]
        assert "boom" in caplog.text

    run("unsafe", scenario, emit=fail, is_turn_end=fail, command_lifecycle=fail, busy_send=fail)
