"""Messages to a conversation whose agent works or waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from optio_agents.steering import BusySend, SendOutcome, Steering
from tests.steering.steered import MARK, NATIVE, OTHERS, QUEUED, REQUEUED, TAKEN, Agent, Steered, run


@pytest.mark.parametrize("value", [*NATIVE, *OTHERS])
def test_an_idle_agent_gets_a_message_as_it_is(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        assert await steered.steering.send_when_ready("a\n") == SendOutcome("m1", queued=False)
        assert steered.logged() == [("a\n", "m1")]
        steered.agent.ends_its_turn()
        assert await steered.steering.interrupt_and_send("b") == "m2"
        assert steered.logged() == [(QUEUED, "m2", "b"), ("b", "m2")]
        steered.agent.ends_its_turn()
        assert await steered.steering.interrupt_and_send("") is None
        assert steered.logged() == []
        await steered.steering.interrupt()
        assert steered.logged() == ["interrupt"]

    run(value, scenario)


@pytest.mark.parametrize("value", NATIVE)
def test_an_agent_with_a_queue_gets_one_message_after_the_other(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        for text in ("a", "b\n\n", "c"):
            assert (await steered.steering.send_when_ready(text)).queued
        assert (steered.steering.in_flight_id, steered.steering.pending_ids) == ("m1", ["m2", "m3"])
        assert steered.logged() == [
            (QUEUED, "m1", "a", True), ("a\n\n", "m1"), (QUEUED, "m2", "b\n\n", True), (QUEUED, "m3", "c", True),
        ]  # fmt: skip
        steered.agent.tells(type="life", id="m1", state="queued")
        steered.agent.tells(type="life", id="m2", state="started")
        steered.agent.tells(type="other")
        await steered.settle()
        assert steered.logged() == []
        steered.agent.tells(type="life", id="m1", state="started")
        await steered.settle()
        assert steered.logged() == [("b\n\n", "m2")]
        steered.agent.ends_its_turn()  # the net: an idle agent has nothing in its queue
        await steered.settle()
        assert steered.logged() == [("c\n\n", "m3")]

    run(value, scenario)


@pytest.mark.parametrize("state", ["started", "completed", "cancelled", "discarded", "refused"])
def test_a_message_is_done_with_whatever_became_of_it(state: str) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.send_when_ready("a")
        await steered.steering.send_when_ready("b")
        steered.agent.tells(type="life", id="m1", state=state)
        await steered.settle()
        assert steered.steering.in_flight_id == "m2"

    run("queues-to-end", scenario)


@pytest.mark.parametrize("value", OTHERS)
def test_other_agents_get_what_waits_as_one_prompt_when_the_turn_ends(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        for text in ("a", "b\n", "c"):
            assert (await steered.steering.send_when_ready(text)).queued
        assert steered.steering.held_ids == ["m1", "m2", "m3"]
        steered.logged()
        steered.agent.tells(type="other")
        await steered.settle()
        assert steered.logged() == []
        steered.agent.ends_its_turn()
        await steered.settle()
        assert steered.logged() == [(TAKEN, ["m1", "m2", "m3"]), ("a\n\nb\n\n\nc", None)]

    run(value, scenario)


@pytest.mark.parametrize("value", NATIVE)
def test_cutting_in_with_a_queue(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        assert await steered.cut_in("now", then=steered.agent.ends_its_turn) == "m1"
        assert steered.logged() == [MARK, (QUEUED, "m1", "now"), "interrupt", ("now\n\n", "m1")]
        steered.agent.ends_its_turn()
        steered.agent.works = True
        assert await steered.cut_in("", then=steered.agent.ends_its_turn) is None
        assert steered.logged() == [MARK, "interrupt"]

    run(value, scenario)


@pytest.mark.parametrize("value", ["rejected", "unsafe"])
def test_cutting_in_without_one(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        assert await steered.steering.interrupt_and_send("") is None
        assert steered.logged() == []
        assert await steered.cut_in("now", then=steered.agent.ends_its_turn) == "m1"
        assert steered.logged() == [MARK, "interrupt", (QUEUED, "m1", "now"), ("now", "m1")]
        await steered.steering.send_when_ready("waits")
        assert await steered.cut_in("now", then=steered.agent.ends_its_turn) == "m3"
        assert steered.logged() == [
            (QUEUED, "m2", "waits", True), MARK, "interrupt",
            (QUEUED, "m3", "now"), (TAKEN, ["m2"]), ("waits\n\nnow", None),
        ]  # fmt: skip
        await steered.steering.send_when_ready("waits")
        steered.logged()
        assert await steered.cut_in("", then=steered.agent.ends_its_turn) is None
        assert steered.logged() == [MARK, "interrupt", (TAKEN, ["m4"]), ("waits", None)]

    run(value, scenario)


def test_an_agent_into_which_a_message_cuts_is_not_interrupted() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.send_when_ready("waits")
        steered.logged()
        assert await steered.steering.interrupt_and_send("now") == "m2"
        assert steered.logged() == [MARK, (QUEUED, "m2", "now"), (TAKEN, ["m1"]), ("waits\n\nnow", None)]

    run("cuts-in", scenario)


@pytest.mark.parametrize("value", ["queues-to-end", "unsafe"])
def test_a_turn_is_interrupted_and_marked_once(value: BusySend) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.interrupt()
        await steered.steering.interrupt()
        assert steered.logged() == [MARK, "interrupt"]
        await steered.cut_in("now", then=steered.agent.ends_its_turn)
        assert [each for each in steered.logged() if each in (MARK, "interrupt")] == []
        await steered.steering.interrupt()
        assert steered.logged() == [MARK, "interrupt"]

    run(value, scenario)


def test_two_that_cut_in_do_so_one_after_the_other() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        both = [asyncio.create_task(steered.steering.interrupt_and_send(text)) for text in "ab"]
        for _ in range(2):
            await steered.settle()
            steered.agent.ends_its_turn()
            await steered.settle()
        assert [await each for each in both] == ["m1", "m2"]
        assert steered.logged() == [
            MARK, "interrupt", (QUEUED, "m1", "a"), ("a", "m1"),
            MARK, "interrupt", (QUEUED, "m2", "b"), ("b", "m2"),
        ]  # fmt: skip

    run("unsafe", scenario)


def test_what_is_sent_while_another_cuts_in_comes_after_it() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        cutting = asyncio.create_task(steered.steering.interrupt_and_send("now"))
        await steered.settle()
        await steered.steering.send_when_ready("later")
        steered.agent.ends_its_turn()
        await cutting
        await steered.settle()
        assert steered.logged()[-2:] == [(TAKEN, ["m2"]), ("now\n\nlater", None)]

    run("unsafe", scenario)


def test_messages_of_an_earlier_run_come_first() -> None:
    async def native(steered: Steered) -> None:
        assert await steered.steering.requeue([("o1", "a"), ("o2", "b")]) == ["m1", "m2"]
        assert steered.logged() == [(REQUEUED, "o1", "m1"), (REQUEUED, "o2", "m2"), ("a\n\n", "m1")]
        await steered.steering.send_when_ready("c")
        assert await steered.steering.requeue([("o3", "d")]) == ["m4"]
        assert steered.steering.pending_ids == ["m4", "m2", "m3"]

    async def held(steered: Steered) -> None:
        assert await steered.steering.requeue([("o1", "a"), ("o2", "b")]) == ["m1", "m2"]
        assert steered.logged() == [
            (REQUEUED, "o1", "m1"), (REQUEUED, "o2", "m2"), (TAKEN, ["m1", "m2"]), ("a\n\nb", None),
        ]  # fmt: skip
        await steered.steering.send_when_ready("c")
        await steered.steering.requeue([("o3", "d")])
        assert steered.steering.held_ids == ["m4", "m3"]
        assert await steered.steering.requeue([]) == []

    run("queues-to-end", native)
    run("unsafe", held)


def test_while_anything_is_held_nothing_overtakes_it() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.send_when_ready("a")
        steered.value = "queues-to-end"
        await steered.steering.send_when_ready("b")
        assert steered.steering.held_ids == ["m1", "m2"]
        steered.agent.works = False
        steered.logged()
        await steered.steering.send_when_ready("c")
        assert steered.logged() == [(QUEUED, "m3", "c"), (TAKEN, ["m1", "m2", "m3"]), ("a\n\nb\n\nc", None)]

    run("unsafe", scenario)


# A new process beneath the conversation.


@pytest.mark.parametrize(
    ("last_words", "after"),
    [
        (None, [("a\n\n", "m1")]),
        ("started", [("again\n\n", "m4")]),
        ("completed", [("again\n\n", "m4")]),
        ("cancelled", [(REQUEUED, "m1", "m5"), ("a\n\n", "m5")]),
        ("discarded", [(REQUEUED, "m1", "m5"), ("a\n\n", "m5")]),
    ],
)
def test_what_the_former_process_did_not_take_up_is_sent_again(
    last_words: str | None, after: list[Any]
) -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.send_when_ready("a")
        await steered.steering.send_when_ready("b")
        steered.steering.begin_transport_reset()
        if last_words is not None:
            steered.agent.tells(type="life", id="m1", state=last_words)
        steered.logged()
        steered.agent.ends_its_turn()
        assert (await steered.steering.send_when_ready("c")).queued
        await steered.steering.requeue([("o", "again")])
        await steered.settle()
        assert steered.logged() == [(QUEUED, "m3", "c", True), (REQUEUED, "o", "m4")]
        assert steered.steering.in_flight_id == "m1"
        await steered.steering.reset_transport()
        assert steered.logged() == after

    run("queues-to-end", scenario)


def test_what_is_held_is_not_sent_to_a_dying_process() -> None:
    async def scenario(steered: Steered) -> None:
        steered.agent.works = True
        await steered.steering.send_when_ready("a")
        steered.steering.begin_transport_reset()
        steered.agent.ends_its_turn()
        await steered.settle()
        assert steered.steering.held_ids == ["m1"]
        steered.logged()
        await steered.steering.reset_transport()
        assert steered.logged() == [(TAKEN, ["m1"]), ("a", None)]

    run("unsafe", scenario)


def test_a_conversation_without_uuids_is_enough() -> None:
    class Old(Agent):
        async def send(self, text: str) -> None:  # type: ignore[override]
            self.log.append(text)

    async def scenario() -> None:
        agent = Old()
        steering = Steering(
            agent, busy_send=lambda: "unsafe", emit=lambda _: None, is_turn_end=lambda _: False
        )
        outcome = await steering.send_when_ready("a")
        assert len(outcome.id) == 36
        assert agent.log == ["a"]
        steering.close()

    asyncio.run(scenario())
