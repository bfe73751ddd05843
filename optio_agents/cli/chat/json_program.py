"""A chat for programs: one JSON object per line in both directions.

In, one command per line; `id` is whatever the program likes and comes back in the answer:

    {"send": TEXT, "id": ...}   {"steer": TEXT, ...}   {"stop_and_send": TEXT, ...}
    {"interrupt": true}   {"decide": N, "behavior": "allow"|"deny", "updated_input": ..., "message": ...}
    {"close": true}       (as does the end of the input, once everything is answered)

Out, each line with a `kind`:

    ready, state, event (with the agent's own `raw`), permission (with its number `n`), settled, sent (how one
    ended), turn (how one ended), receipt, refused (a command that cannot be done, and why), closed
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, TextIO

import trio

from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.conversation import (
    AgentConversation,
    ConversationClosed,
    ConversationError,
    PermissionDecision,
    PermissionRequest,
    Sent,
    State,
    TurnResult,
)
from optio_agents.conversation.codecs.json_lines import UNPARSEABLE, JsonLines

SENDING = ("send", "steer", "stop_and_send")


class UsageError(Exception):
    """A command that makes no sense. The program's fault; it is told, and the chat goes on."""


class ProgramChat:
    """One chat. `run` is all of it; it returns the exit code."""

    def __init__(self, conversation: AgentConversation, descriptor: int, output: TextIO) -> None:
        self._conversation = conversation
        self._descriptor = descriptor
        self._output = output
        self._permissions: dict[int, PermissionRequest] = {}
        self._numbers = 0
        self._left = False
        self._ends: trio.Nursery

    async def run(self) -> int:
        """Serve until the input ends and everything is answered, `close`, or the agent's end."""
        conversation = self._conversation
        capabilities = conversation.capabilities
        can = [name for name in capabilities.__slots__ if getattr(capabilities, name)]
        self._say("ready", agent=conversation.name, session=conversation.session, can=can)
        conversation.on_permission_request(self._offer)
        async with trio.open_nursery() as nursery:
            # These end by themselves, when they have told everything there was.
            async with trio.open_nursery() as telling:
                self._ends = telling
                telling.start_soon(self._events)
                telling.start_soon(self._results)
                telling.start_soon(self._states)
                nursery.start_soon(self._read)
            nursery.cancel_scope.cancel(reason="the conversation has ended")
        report = await conversation.close()
        self._say("closed", reason=report.reason, how=report.how, unsent=list(report.unsent))
        return int(ExitCode.DONE if self._left else ExitCode.ENDED_EARLY)

    async def _events(self) -> None:
        with self._conversation.events() as events:
            async for event in events:
                self._say("event", turn=event.turn, text=event.text, raw=event.raw)

    async def _results(self) -> None:
        results = self._conversation.results()
        while (got := await results.get()) is not None:
            for result in got[1]:
                self._say("turn", **_turn(result))

    async def _states(self) -> None:
        async for state in self._conversation.states():
            self._say("state", state=state.value)

    async def _offer(self, request: PermissionRequest) -> None:
        """The permission handler: it tells the program, and waits until the request is settled."""
        self._numbers += 1
        number = self._numbers
        self._permissions[number] = request
        self._say("permission", n=number, tool=request.tool_name, input=request.input)
        try:
            await trio.sleep_forever()
        finally:
            del self._permissions[number]
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
            await self._conversation.wait_state(State.IDLE, State.CLOSED)
        self._left = not self._conversation.closed
        await self._conversation.close()

    async def _do(self, command: dict[str, Any]) -> None:
        try:
            if command.get("type") == UNPARSEABLE:
                raise UsageError(f"not a JSON object: {command['reason']}")
            await self._carry_out(command)
        except (UsageError, ConversationError, ConversationClosed) as error:
            self._say("refused", id=command.get("id"), why=str(error))

    async def _carry_out(self, command: dict[str, Any]) -> None:
        for verb in SENDING:
            if verb in command:
                text = command[verb]
                if not isinstance(text, str):
                    raise UsageError(f"{verb} needs a text")
                sent = await getattr(self._conversation, verb)(text)
                self._ends.start_soon(self._tell_end, sent, command.get("id"))
                return
        if command.get("interrupt"):
            self._ends.start_soon(self._interrupt, command.get("id"))
        elif "decide" in command:
            await self._decide(command)
        elif command.get("close"):
            self._left = True
            await self._conversation.close()
        else:
            raise UsageError(f"no command among {sorted(map(str, command))}")

    async def _decide(self, command: dict[str, Any]) -> None:
        request = self._permissions.get(command["decide"]) if isinstance(command["decide"], int) else None
        behavior = command.get("behavior")
        changed, message = command.get("updated_input"), command.get("message")
        if behavior not in ("allow", "deny") or not isinstance(changed, dict | None):
            raise UsageError(
                "a decision has a behavior (allow or deny), and an object as updated_input if any"
            )
        try:
            decision = PermissionDecision(behavior, changed, None if message is None else str(message))
        except ValueError as error:  # NaN, which Python reads though it is no JSON
            raise UsageError(f"updated_input: {error}") from None
        if request is None or not await self._conversation.decide(request, decision):
            raise UsageError(f"there is no open permission request {command['decide']!r}")

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
        self._output.write(json.dumps({"kind": kind, **fields}) + "\n")
        self._output.flush()


def _turn(result: TurnResult) -> dict[str, Any]:
    return {"turn": result.turn, "status": result.status.value, "text": result.text, "error": result.error}
