"""A conversation as its viewers see it: its events in a log, and what a viewer asks carried out on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import trio

from optio_agents.conversation import (
    AgentConversation,
    ConversationClosed,
    ConversationError,
    ConversationState,
    PermissionDecision,
    QuestionAnswer,
    QuestionRequest,
)
from optio_agents.conversation.requests import ToolRequest
from optio_agents.session_controls import control_allowed, filter_controls
from optio_agents.web.event_log import EventLog
from optio_agents.web.request_validation import BadRequest

ANSWERED = "x-optio-permission-answered"
QUESTION_ANSWERED = "x-optio-question-answered"
SENT = "x-optio-sent"
QUEUED = "x-optio-queued"
INTERRUPTED = "x-optio-interrupt"
RESUMED = "x-optio-resumed"
OVER = "x-optio-over"
"""The last event of a feed: there is no use in connecting again."""


class ConversationFeed:
    """One conversation and its viewers. It follows the conversation from here on; `run` fills the log.

    Args:
        conversation: the conversation.
        log: where its events are kept.
        controls: the ids of the controls that viewers may see and set; `None`: all that the agent has.
        earlier: events of the same conversation before it was resumed; viewers get them first.

    Attributes:
        log: the events.
        ended: whether the log is complete: streams end when they have written it.
        viewers: how many streams there are.
    """

    def __init__(
        self,
        conversation: AgentConversation,
        log: EventLog | None = None,
        *,
        controls: Iterable[str] | None = None,
        earlier: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._conversation = conversation
        self._allowed = None if controls is None else frozenset(controls)
        self._events = conversation.events()
        self.log = log or EventLog()
        for event in earlier:
            self.log.append(event)
        if self.log.number:
            self.log.append({"type": RESUMED})
        self.ended = False
        self.viewers = 0
        self._changed = trio.Event()
        self._ids = 0

    async def run(self) -> None:
        """Follow the conversation to its end. What happens around it may still be noted after that."""
        with self._events:
            while True:
                await self._events.wait()
                if self._take() is None:
                    return

    def end(self) -> None:
        """Say that nothing more comes: what has happened until now is still written to the viewers."""
        while self._take():
            pass
        self.log.append({"type": OVER})
        self.ended = True
        self._wake()

    def _take(self) -> int | None:
        """Log what has happened, and return how many events that was; `None` at the end of the conversation."""
        events = self._events.take()
        if events is None:
            return None
        for event in events:
            self.log.append(event.raw)
        self._wake()
        return len(events)

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """Count one more viewer while the block runs."""
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1
            self._wake()

    async def without_viewers(self) -> None:
        """Wait until there is no viewer."""
        while self.viewers:
            await self._changed.wait()

    def note(self, kind: str, **fields: Any) -> None:
        """Add an event of ours, whose `type` is `kind`."""
        self.log.append({"type": kind, **fields})
        self._wake()

    async def wait(self, position: int) -> None:
        """Wait until the log has an event at `position`, or has ended."""
        while self.log.position <= position and not self.ended:
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # What viewers ask.

    async def send(self, text: str) -> dict[str, Any]:
        """Queue a message.

        Raises:
            BadRequest: `closed`, or the queue is full.
        """
        identity = self._next_id()
        busy = self._conversation.is_pending()
        await self._try(self._conversation.send(text))
        self.note(SENT, id=identity, text=text)
        if busy:
            self.note(QUEUED, id=identity, text=text)
        return {"ok": True, "id": identity, "queued": busy}

    async def steer(self, text: str) -> dict[str, Any]:
        """Interrupt, and send `text` next; without a text, what is queued comes next.

        Raises:
            BadRequest: `closed`, or the queue is full.
        """
        identity = self._next_id()
        self.note(INTERRUPTED, by="user")
        if text.strip():
            await self._try(self._conversation.stop_and_send(text))
            self.note(SENT, id=identity, text=text)
        else:
            await self._try(self._conversation.interrupt())
        return {"ok": True, "id": identity}

    async def interrupt(self) -> dict[str, Any]:
        """Stop the running turn.

        Raises:
            BadRequest: `closed`.
        """
        self.note(INTERRUPTED, by="user")
        await self._try(self._conversation.interrupt())
        return {"ok": True}

    async def decide(self, request_id: str, decision: PermissionDecision) -> dict[str, Any]:
        """Answer a permission request.

        Raises:
            BadRequest: `unknown-request`: there is none of this id, or it was answered meanwhile.
        """
        for request in self._conversation.permission_requests:
            if request_key(request) == request_id:
                break
        else:
            raise BadRequest("unknown-request", 404)
        if not await self._try(self._conversation.decide(request, decision)):
            raise BadRequest("unknown-request", 404)
        self.note(ANSWERED, request_id=request_id, behavior=decision.behavior)
        return {"ok": True}

    async def answer(
        self, request_id: str, answers: Mapping[str, str | tuple[str, ...]] | None
    ) -> dict[str, Any]:
        """Answer a question; `None` declines.

        Raises:
            BadRequest: `unknown-request`, or `bad-answers` with what is wrong.
        """
        for question in self._conversation.questions:
            if request_key(question) == request_id:
                break
        else:
            raise BadRequest("unknown-request", 404)
        answer = QuestionAnswer.declined("the user declines to answer")
        if answers is not None:
            try:
                question.values(answers)
                answer = QuestionAnswer(answers)
            except (ValueError, TypeError) as error:
                raise BadRequest(f"bad-answers: {error}") from None
        if not await self._try(self._conversation.answer(question, answer)):
            raise BadRequest("unknown-request", 404)
        self.note(QUESTION_ANSWERED, request_id=request_id, declined=answers is None)
        return {"ok": True}

    async def list_controls(self) -> list[dict[str, Any]]:
        """The controls that a viewer may set, in the form that the dashboard reads.

        Raises:
            BadRequest: `closed`, or `rejected`: the agent does not answer.
        """
        controls = await self._try(self._conversation.list_controls())
        return filter_controls([control.to_dict() for control in controls], self._allowed)

    async def set_control(self, identity: str, value: str | bool) -> dict[str, Any]:
        """Set a control.

        Raises:
            BadRequest: `closed`; `not-allowed`; `unknown-control`: the agent has none of this id; or `rejected` with
                what is wrong with the value.
        """
        if not control_allowed(identity, self._allowed):
            raise BadRequest("not-allowed", 403)
        if not await self._try(self._conversation.set_control(identity, value)):
            raise BadRequest("unknown-control", 404)
        return {"ok": True}

    def state(self) -> dict[str, Any]:
        """What a page shows beside the events."""
        conversation = self._conversation
        return {
            "agent": conversation.name,
            "state": conversation.state.value,
            "closed": conversation.closed_reason if conversation.state is ConversationState.CLOSED else None,
            "queued": list(conversation.queued),
            "permissions": [_permission(request) for request in conversation.permission_requests],
            "questions": [_question(request) for request in conversation.questions],
        }

    async def _try(self, doing: Any) -> Any:
        try:
            return await doing
        except ConversationClosed:
            raise BadRequest("closed", 409) from None
        except ConversationError as error:
            raise BadRequest(f"rejected: {error}", 409) from None

    def _next_id(self) -> str:
        self._ids += 1
        return f"web-{self._ids}"


def request_key(request: ToolRequest | QuestionRequest) -> str:
    """The id of a request as viewers know it: the backend's own, as a text."""
    raw = request.raw
    return str(raw.get("request_id", raw.get("id", "")))


def _permission(request: ToolRequest) -> dict[str, Any]:
    return {
        "request_id": request_key(request),
        "tool": request.tool_name,
        "input": request.input,
        "asker": request.asker,
        "scopes": list(request.scopes),
    }


def _question(request: QuestionRequest) -> dict[str, Any]:
    return {
        "request_id": request_key(request),
        "kind": request.kind,
        "message": request.message,
        "asker": request.asker,
        "questions": [
            {
                "key": question.key,
                "text": question.text,
                "header": question.header,
                "choices": [
                    {"label": each.label, "description": each.description} for each in question.choices
                ],
                "multiple": question.multiple,
                "free_text": question.free_text,
                "secret": question.secret,
                "required": question.required,
            }
            for question in request.questions
        ],
    }
