"""A chat for programs: one JSON object per line in both directions.

In: one command per line. The program chooses `id`, which is repeated in the answer:

    {"send": TEXT, "id": ...}   {"steer": TEXT, ...}   {"stop_and_send": TEXT, ...}
    {"interrupt": true}
    {"decide": N, "behavior": "allow"|"deny", "updated_input": ..., "message": ..., "scope": "once"|"session"|"always",
     "interrupt": true|false}
    {"answer": N, "answers": {KEY: TEXT or [TEXT, ...]}}   or   {"answer": N, "decline": true, "reason": ...}
    {"close": true}       (as does the end of the input, once everything is answered)

Out: one object per line, each with a `kind`:

    ready, state, event (with the agent's own `raw`), permission and question (each with its number `n`), settled, sent
    (how a message ended), turn (how a turn ended, and who began it: `origin`), receipt, refused (a command that cannot
    be done, and why), closed

Commands are read even if the lines are not; the events then wait.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import trio

from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.chat.stdout_lines import LineWriter
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.conversation import (
    AgentConversation,
    ConversationClosed,
    ConversationError,
    ConversationState,
    PermissionDecision,
    PermissionRequest,
    QuestionAnswer,
    QuestionRequest,
    Sent,
    ToolRequest,
    TurnResult,
)
from optio_agents.conversation.codecs.json_lines import UNPARSEABLE, JsonLines

SENDING = ("send", "steer", "stop_and_send")


class BadCommandError(Exception):
    """An invalid command. The program's fault; it gets an error, and the chat continues."""


class ProgramChat:
    """One chat, from the start to the end of `run`, which returns the exit code."""

    def __init__(self, conversation: AgentConversation, descriptor: int, output: int) -> None:
        self._conversation = conversation
        self._descriptor = descriptor
        self._writer = LineWriter(output)
        self._requests: dict[int, PermissionRequest | QuestionRequest] = {}
        self._numbers = 0
        self._left = False
        self._ends: trio.Nursery

    async def run(self) -> int:
        """Serve until the input ends and everything is answered, `close` comes, or the agent or our reader ends."""
        code = ExitCode.INTERRUPTED
        async with trio.open_nursery() as nursery:

            async def end_without_reader() -> None:
                await self._writer.gone.wait()
                nursery.cancel_scope.cancel(reason="the reader of our output has gone")

            nursery.start_soon(self._writer.run)
            nursery.start_soon(end_without_reader)
            code = await self._serve()
            await self._writer.flushed()
            nursery.cancel_scope.cancel(reason="the chat is over")
        return int(code)

    async def _serve(self) -> ExitCode:
        conversation = self._conversation
        capabilities = conversation.capabilities
        can = [name for name in capabilities.__slots__ if getattr(capabilities, name)]
        self._say("ready", agent=conversation.name, session=conversation.session, can=can)
        conversation.on_permission_request(self._offer)
        conversation.on_question(self._offer_question)
        async with trio.open_nursery() as nursery:
            # These end when they have printed everything.
            async with trio.open_nursery() as telling:
                self._ends = telling
                telling.start_soon(self._events)
                telling.start_soon(self._results)
                telling.start_soon(self._states)
                nursery.start_soon(self._read)
            nursery.cancel_scope.cancel(reason="the conversation has ended")
        report = await conversation.close()
        self._say("closed", reason=report.reason, how=report.how, unsent=list(report.unsent))
        return ExitCode.DONE if self._left else ExitCode.ENDED_EARLY

    async def _events(self) -> None:
        with self._conversation.events() as events:
            async for event in events:
                self._say("event", turn=event.turn, text=event.text, raw=event.raw)
                await self._writer.room()

    async def _results(self) -> None:
        async for result in self._conversation.results():
            self._say("turn", **_turn(result))

    async def _states(self) -> None:
        async for state in self._conversation.states():
            self._say("state", state=state.value)

    async def _offer(self, request: PermissionRequest) -> None:
        """The permission handler: print the request, and wait until it is settled."""
        more: dict[str, Any] = {}
        if isinstance(request, ToolRequest):
            more = {"scopes": request.scopes, "covers": request.covers, "asker": request.asker}
        await self._wait_settled("permission", request, tool=request.tool_name, input=request.input, **more)

    async def _offer_question(self, request: QuestionRequest) -> None:
        """The question handler: print the question, and wait until it is settled."""
        questions = [
            {
                "key": each.key,
                "text": each.text,
                "header": each.header,
                "choices": [{"label": c.label, "description": c.description} for c in each.choices],
                "multiple": each.multiple,
                "free_text": each.free_text,
                "secret": each.secret,
                "required": each.required,
                "type": each.kind,
            }
            for each in request.questions
        ]
        about = {"about": request.kind, "message": request.message, "asker": request.asker}
        await self._wait_settled("question", request, questions=questions, **about)

    async def _wait_settled(
        self, kind: str, request: PermissionRequest | QuestionRequest, **fields: Any
    ) -> None:
        self._numbers += 1
        number = self._numbers
        self._requests[number] = request
        self._say(kind, n=number, **fields)
        try:
            await trio.sleep_forever()
        finally:
            del self._requests[number]
            self._say("settled", n=number)

    async def _read(self) -> None:
        lines = JsonLines()
        while data := await read_some(self._descriptor):
            for command in lines.feed(data):
                await self._do(command)
        for command in lines.finish():
            await self._do(command)
        with suppress(ConversationClosed):
            await self._conversation.settled()
            await self._conversation.wait_state(ConversationState.IDLE, ConversationState.CLOSED)
        self._left = not self._conversation.closed
        await self._conversation.close()

    async def _do(self, command: dict[str, Any]) -> None:
        try:
            if command.get("type") == UNPARSEABLE:
                raise BadCommandError(f"not a JSON object: {command['reason']}")
            await self._carry_out(command)
        except (BadCommandError, ConversationError, ConversationClosed, TypeError, ValueError) as error:
            self._say("refused", id=command.get("id"), why=str(error))

    async def _carry_out(self, command: dict[str, Any]) -> None:
        for verb in SENDING:
            if verb in command:
                text = command[verb]
                sent = await getattr(self._conversation, verb)(text)
                self._ends.start_soon(self._tell_end, sent, command.get("id"))
                return
        if command.get("interrupt"):
            self._ends.start_soon(self._interrupt, command.get("id"))
        elif "decide" in command:
            await self._decide(command)
        elif "answer" in command:
            await self._answer(command)
        elif command.get("close"):
            self._left = True
            await self._conversation.close()
        else:
            raise BadCommandError(f"no command among {sorted(map(str, command))}")

    async def _decide(self, command: dict[str, Any]) -> None:
        decision = PermissionDecision(
            command.get("behavior"),  # type: ignore[arg-type]  # what it is, it checks itself
            command.get("updated_input"),
            command.get("message"),
            command.get("scope", "once"),
            command.get("interrupt") is True,
        )
        request = self._request(command["decide"])
        if not isinstance(request, PermissionRequest) or not await self._conversation.decide(
            request, decision
        ):
            raise BadCommandError(f"there is no open permission request {command['decide']!r}")

    async def _answer(self, command: dict[str, Any]) -> None:
        given = None if command.get("decline") is True else command.get("answers")
        if isinstance(given, dict):
            given = {key: tuple(each) if isinstance(each, list) else each for key, each in given.items()}
        elif given is not None or command.get("decline") is not True:
            raise BadCommandError('an answer has "answers", an object, or "decline": true')
        answer = QuestionAnswer(given, command.get("reason"))
        request = self._request(command["answer"])
        if not isinstance(request, QuestionRequest) or not await self._conversation.answer(request, answer):
            raise BadCommandError(f"there is no open question {command['answer']!r}")

    def _request(self, number: object) -> PermissionRequest | QuestionRequest | None:
        return self._requests.get(number) if isinstance(number, int) else None

    async def _interrupt(self, name: object) -> None:
        try:
            receipt = await self._conversation.interrupt()
        except ConversationClosed as error:
            self._say("refused", id=name, why=str(error))
            return
        turn = None if receipt.turn is None else _turn(receipt.turn)
        self._say(
            "receipt",
            id=name,
            what=receipt.kind.value,
            turn=turn,
            queued=list(receipt.queued),
            acknowledged=receipt.acknowledged,
        )

    async def _tell_end(self, sent: Sent, name: object) -> None:
        end = await sent.wait()
        turn = None if end.turn is None else end.turn.turn
        self._say("sent", id=name, fate=end.fate.value, turn=turn, reason=end.reason)

    def _say(self, kind: str, **fields: Any) -> None:
        self._writer.put(json.dumps({"kind": kind, **fields}).encode() + b"\n")


def _turn(result: TurnResult) -> dict[str, Any]:
    return {
        "turn": result.turn,
        "status": result.status.value,
        "text": result.text,
        "error": result.error,
        "origin": result.origin.value,
        "lost_lines": result.lost_lines,
    }
