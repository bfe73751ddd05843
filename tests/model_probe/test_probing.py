"""Asking each model a question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from optio_agents.model_probe import PROBE_QUESTION, probe_models, probing

Handler = Callable[[Any], None]


class Conversation:
    """Each model does what it is called: `yes`, `no`, `raises`, `denied`, `slow` (answers when it is interrupted, or
    when the next model is asked), `hangs` (in `send`), `stuck` (switching to it hangs), `deaf` (cannot be interrupted).
    """

    current_model_id: str | None = "original"

    def __init__(self) -> None:
        self.model = "original"
        self.asked: list[str] = []
        self.switches: list[str] = []
        self.works = False
        self.late = False
        self.messages: list[Handler] = []
        self.events: list[Handler] = []

    def _subscribe(self, handlers: list[Handler], handler: Handler) -> Callable[[], None]:
        handlers.append(handler)
        return lambda: handlers.remove(handler)

    def on_message(self, handler: Handler) -> Callable[[], None]:
        return self._subscribe(self.messages, handler)

    def on_event(self, handler: Handler) -> Callable[[], None]:
        return self._subscribe(self.events, handler)

    def is_pending(self) -> bool:
        return self.works

    async def interrupt(self) -> None:
        if self.model != "deaf":
            self.answer("Budapest, at last")

    def answer(self, text: str) -> None:
        self.works = self.late = False
        for handler in list(self.messages):
            handler(text)
        for handler in list(self.events):
            handler({"type": "end"})

    async def send(self, text: str) -> None:
        self.asked.append(text)
        self.works = True
        if self.late:
            self.answer("Budapest, at last")
        match self.model:
            case "yes":
                self.answer("Budapest")
            case "no":
                self.answer("I do not know")
            case "raises":
                self.works = False
                raise RuntimeError("refused")
            case "denied":
                self.works = False
                for handler in list(self.events):
                    handler({"denied": "no access"})
            case "slow" | "deaf":
                self.late = True
            case "hangs":
                self.works = False
                await asyncio.Event().wait()


async def set_model(conversation: Conversation, model: str) -> None:
    conversation.switches.append(model)
    if model == "stuck":
        await asyncio.Event().wait()
    conversation.model = model


def check(text: str, error: Any) -> bool:
    return "Budapest" in text


def probe(conversation: Any, *models: str, **changes: Any) -> dict[str, bool]:
    arguments: dict[str, Any] = {
        "usable_check": check,
        "set_model": set_model,
        "per_model_timeout": 0.01,
        **changes,
    }

    async def whole() -> dict[str, bool]:
        async with asyncio.timeout(60):
            found = await probe_models(conversation, models, **arguments)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return found

    found = asyncio.run(whole())
    assert conversation.messages == conversation.events == []
    return found


def test_each_model_is_asked_and_the_original_one_restored() -> None:
    conversation = Conversation()
    reported: list[Any] = []
    found = probe(
        conversation, "yes", "no", "raises", "denied", "yes too",
        error_from_event=lambda event: event.get("denied"), report=lambda *done: reported.append(done),
    )  # fmt: skip
    assert found == {"yes": True, "no": False, "raises": False, "denied": False, "yes too": False}
    assert conversation.asked == [PROBE_QUESTION] * 5
    assert reported[:2] == [(1, 5, "yes"), (2, 5, "no")]
    assert conversation.model == "original"


def test_errors_and_answers_are_judged_by_the_caller() -> None:
    judged: list[Any] = []

    def judge(text: str, error: Any) -> bool:
        judged.append((text, error))
        return True

    probe(
        Conversation(),
        "yes",
        "denied",
        "slow",
        usable_check=judge,
        error_from_event=lambda event: event.get("denied"),
    )
    assert judged == [("Budapest", None), ("", "no access"), ("", None)]


def test_a_plain_function_may_switch_models_and_no_model_need_be_restored() -> None:
    conversation = Conversation()
    conversation.current_model_id = None

    def switch(conversation: Conversation, model: str) -> None:
        conversation.model = model

    assert probe(conversation, "yes", set_model=switch) == {"yes": True}
    assert conversation.model == "yes"


def test_a_late_answer_is_not_credited_to_the_next_model() -> None:
    assert probe(Conversation(), "slow", "no") == {"slow": False, "no": False}


def test_nor_if_the_conversation_cannot_tell_whether_it_is_busy() -> None:
    class Silent(Conversation):
        is_pending = property()  # hasattr says no

    assert probe(Silent(), "slow", "no") == {"slow": False, "no": False}


def test_after_a_turn_that_does_not_end_nothing_is_said_about_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probing, "SETTLE_SECONDS", 0.01)
    assert probe(Conversation(), "yes", "deaf", "no", "yes") == {"yes": True, "deaf": False}


@pytest.mark.parametrize("model", ["hangs", "stuck"])
def test_sending_and_switching_are_within_the_time_limit(model: str) -> None:
    assert probe(Conversation(), model, "yes") == {model: False, "yes": True}


def test_a_restore_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SETTLE_SECONDS", 0.01)
    conversation = Conversation()
    conversation.current_model_id = "stuck"
    assert probe(conversation, "yes") == {"yes": True}


@pytest.mark.parametrize("fails", ["usable_check", "report", "error_from_event"])
def test_failing_callbacks_cost_no_more_than_their_model(fails: str) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("boom")

    found = probe(Conversation(), "yes", "no", **{fails: fail})
    assert found == {"yes": fails == "report", "no": False} or fails == "error_from_event"


@pytest.mark.parametrize("times", [1, 2])
def test_the_original_model_is_restored_however_often_the_probe_is_cancelled(times: int) -> None:
    conversation = Conversation()

    async def scenario() -> None:
        probing_task = asyncio.create_task(
            probe_models(conversation, ["hangs"], usable_check=check, set_model=slow_switch)
        )
        while not conversation.asked:
            await asyncio.sleep(0)
        for _ in range(times):
            probing_task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([probing_task])
        assert probing_task.cancelled()

    async def slow_switch(conversation: Conversation, model: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        await set_model(conversation, model)

    asyncio.run(scenario())
    assert conversation.model == "original"


def test_a_conversation_that_is_busy_with_its_user_is_not_interrupted() -> None:
    conversation = Conversation()
    conversation.works = True

    async def scenario() -> dict[str, bool]:
        asyncio.get_running_loop().call_later(0.01, conversation.answer, "to the user: Budapest")
        awaiting: Awaitable[dict[str, bool]] = probe_models(
            conversation, ["no"], usable_check=check, set_model=set_model, per_model_timeout=30
        )
        return await awaiting

    assert asyncio.run(scenario()) == {"no": False}
