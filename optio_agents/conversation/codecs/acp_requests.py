"""The requests of an Agent Client Protocol agent to its user, and their answers."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from optio_agents.conversation.codecs.base import Key, PermissionAsked, QuestionAsked
from optio_agents.conversation.codecs.forms import dicts_of, elicitation, text_of
from optio_agents.conversation.requests import QuestionAnswer, QuestionRequest
from optio_agents.conversation.surface import PermissionDecision, Scope

PERMISSION = "session/request_permission"
ELICITATION = "elicitation/create"

OPTION_KINDS: dict[tuple[str, Scope], tuple[str, ...]] = {
    ("allow", "once"): ("allow_once",),
    ("allow", "session"): ("allow_once",),
    ("allow", "always"): ("allow_always", "allow_once"),
    ("deny", "once"): ("reject_once", "reject_always"),
}
"""Which of the offered options says what was decided, the first one that is offered. How long "always" lasts is the
agent's own affair, so a permission for the session is given once."""

CALLS_KEPT = 256
"""Of how many tool calls of a turn it is remembered what they are; permission requests name the newest."""

GEMINI_SERVER_OPTION = "proceed_always_server"
GEMINI_TITLE = re.compile(r" \((\S+) MCP Server\)\Z")

CANCELLED = {"outcome": {"outcome": "cancelled"}}


class AcpAsked(NamedTuple):
    """An open request: the options of a permission request, or the question."""

    options: list[dict[str, Any]]
    question: QuestionRequest | None


class AcpRequests:
    """The open requests: what each offered, and the result that answers it."""

    def __init__(self) -> None:
        self._open: dict[Key, AcpAsked] = {}
        self._calls: dict[str, dict[str, Any]] = {}  # what is known of this turn's last tool calls, by id

    def forget_calls(self) -> None:
        """Forget the tool calls: another turn begins."""
        self._calls.clear()

    def note_call(self, update: dict[str, Any]) -> None:
        """Note the state of a tool call."""
        known = self._calls.setdefault(str(update.get("toolCallId")), {})
        if len(self._calls) > CALLS_KEPT:
            del self._calls[next(iter(self._calls))]
        known.update({key: update[key] for key in ("rawInput", "_meta", "kind", "title") if update.get(key)})

    def open(
        self, key: Key, method: str, params: dict[str, Any], record: dict[str, Any], turn: int | None
    ) -> PermissionAsked | QuestionAsked | None:
        """The signal for a request; `None` if it is not for a user."""
        if method == ELICITATION:
            question = elicitation(params, params.get("requestedSchema"), record, turn, None)
            self._open.setdefault(key, AcpAsked([], question))
            return QuestionAsked(key, question)
        if method != PERMISSION:
            return None
        options = dicts_of(params.get("options"))
        self._open.setdefault(key, AcpAsked(options, None))
        call = params.get("toolCall")
        call = call if isinstance(call, dict) else {}
        known = {**self._calls.get(str(call.get("toolCallId")), {}), **{k: v for k, v in call.items() if v}}
        lasting = [option for option in options if option.get("kind") == "allow_always"]
        scopes: tuple[Scope, ...] = ("once", "always") if lasting else ("once",)
        covers = tuple(text_of(option.get("name")) for option in lasting)
        return PermissionAsked(
            key,
            turn,
            tool_name(known),
            _tool_input(known),
            record,
            None,
            scopes,
            covers,
            _server(call, options),
        )

    def decide(self, key: Key, decision: PermissionDecision) -> dict[str, Any] | None:
        """The result that says it; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None:
            return None
        for kind in OPTION_KINDS[decision.behavior, decision.scope]:
            for option in asked.options:
                if option.get("kind") == kind:
                    return {"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}
        return CANCELLED

    def answer(self, key: Key, answer: QuestionAnswer) -> dict[str, Any] | None:
        """The result that says it; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None or asked.question is None:
            return None
        values = None if answer.answers is None else asked.question.values(answer.answers)
        if values is None or values.get("visit") is False:
            return {"action": "decline"}
        return (
            {"action": "accept", "content": values} if asked.question.kind == "form" else {"action": "accept"}
        )

    def cancel(self, key: Key) -> dict[str, Any] | None:
        """The result for a request that will not be answered; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None:
            return None
        return CANCELLED if asked.question is None else {"action": "cancel"}


def _server(call: dict[str, Any], options: list[dict[str, Any]]) -> str | None:
    """The MCP server whose tool a request is about: gemini puts its name at the end of the title.

    A title may hold anything (a shell command's is the command), so what counts is the option that gemini offers for
    tools of servers only.
    """
    offered = any(option.get("optionId") == GEMINI_SERVER_OPTION for option in options)
    found = GEMINI_TITLE.search(text_of(call.get("title"))) if offered else None
    return found[1] if found else None


def tool_name(call: dict[str, Any]) -> str:
    """The tool's own name if the agent sends it, otherwise its kind."""
    meta = call.get("_meta")
    for extension in meta.values() if isinstance(meta, dict) else ():
        if isinstance(extension, dict) and isinstance(extension.get("toolName"), str):
            return str(extension["toolName"])
    return text_of(call.get("kind")) or text_of(call.get("title")) or "tool"


def _tool_input(call: dict[str, Any]) -> dict[str, Any]:
    """The input of the tool. If the agent does not send it, the description that it sends for users."""
    given = call.get("rawInput")
    if isinstance(given, dict):
        return given
    return {key: call[key] for key in ("title", "content", "locations") if call.get(key)}
