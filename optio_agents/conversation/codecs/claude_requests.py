"""The requests of Claude Code to its user, and their answers: permissions, questions, plans, elicitation.

Measured with 2.1.330:

- `can_use_tool` carries `permission_suggestions`, which are sent back as `updatedPermissions`; each has a `destination`
  (`session`, or one of the settings files). `agent_id` names the subagent that asks.
- The tool AskUserQuestion is a question, not a tool: it is answered by allowing it with the same input and `answers`,
  by the text of each question.
- ExitPlanMode asks for approval with an empty input; the plan is in the tool call before it, of the same id.
- An MCP server's elicitation is a control request of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from optio_agents.conversation.codecs.base import Key, PermissionAsked, QuestionAsked
from optio_agents.conversation.codecs.forms import (
    dicts_of,
    elicitation,
    listed_questions,
    plan_question,
    text_of,
)
from optio_agents.conversation.requests import NO_HANDLER, QuestionAnswer, QuestionRequest
from optio_agents.conversation.surface import PermissionDecision, Scope

PLANS_KEPT = 8
"""How many plans are remembered until their approval is asked."""

DENIED = "The user said no."
WITHDRAWN = "The request was withdrawn: it will not be answered any more."
PLAN_REJECTED = "The user does not approve the plan."


class ClaudeAsked(NamedTuple):
    """An open request."""

    input: dict[str, Any]
    suggestions: list[dict[str, Any]]
    question: QuestionRequest | None


class ClaudeRequests:
    """The open requests: what each asked for, and the control response that answers it."""

    def __init__(self) -> None:
        self._open: dict[Key, ClaudeAsked] = {}
        self._plans: dict[str, str] = {}  # of the last calls of ExitPlanMode, by the id of the tool call

    def note_tool_use(self, block: dict[str, Any]) -> None:
        """Note a tool call, which may contain a plan."""
        given = block.get("input")
        if block.get("name") == "ExitPlanMode" and isinstance(given, dict):
            self._plans = {**dict(list(self._plans.items())[1 - PLANS_KEPT :])}
            self._plans[text_of(block.get("id"))] = text_of(given.get("plan"))

    def open(
        self,
        key: Key,
        request: dict[str, Any],
        record: dict[str, Any],
        turn: int | None,
        names: Mapping[str, str],
    ) -> PermissionAsked | QuestionAsked | None:
        """The signal for a control request; `None` if it is not for a user. `names` describes background tasks."""
        asked = request.get("input")
        given = asked if isinstance(asked, dict) else {}
        tool, asker = text_of(request.get("tool_name")), _asker(request, names)
        question: QuestionRequest | None = None
        if request.get("subtype") == "elicitation":
            server = text_of(request.get("mcp_server_name"))
            by = f"MCP server {server}" if server else None
            question = elicitation(request, request.get("requested_schema"), record, turn, by)
        elif request.get("subtype") != "can_use_tool":
            return None
        elif tool == "AskUserQuestion":
            questions = listed_questions(
                given.get("questions"), key="question", multiple="multiSelect", free_text=True
            )
            question = QuestionRequest("questions", "", questions, record, turn, asker)
        elif tool == "ExitPlanMode":
            plan = text_of(given.get("plan")) or self._plans.get(text_of(request.get("tool_use_id")), "")
            question = QuestionRequest("plan", plan, plan_question(), record, turn, asker)
        suggestions = _suggestions(request)
        # A repeated key is the same request: the decision is about the first one.
        self._open.setdefault(key, ClaudeAsked(given, suggestions, question))
        if question is not None:
            return QuestionAsked(key, question)
        return PermissionAsked(
            key,
            turn,
            tool,
            given,
            record,
            asker,
            _scopes(suggestions),
            tuple(map(_covers, suggestions)),
            _server(request),
        )

    def withdraw(self, key: object) -> bool:
        """Remove a request for which the agent no longer waits; return whether it was open."""
        return isinstance(key, str) and self._open.pop(key, None) is not None

    def decide(self, key: Key, decision: PermissionDecision) -> dict[str, Any] | None:
        """The response that says it; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None:
            return None
        if decision.behavior == "deny":
            denial: dict[str, Any] = {"behavior": "deny", "message": decision.message or DENIED}
            return {**denial, "interrupt": True} if decision.interrupt else denial
        changed = decision.updated_input
        allowed: dict[str, Any] = {
            "behavior": "allow",
            "updatedInput": asked.input if changed is None else changed,
        }
        if lasting := _lasting(asked.suggestions, decision.scope):
            allowed["updatedPermissions"] = lasting
        return allowed

    def answer(self, key: Key, answer: QuestionAnswer) -> dict[str, Any] | None:
        """The response that says it; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None or asked.question is None:
            return None
        kind = asked.question.kind
        values = None if answer.answers is None else asked.question.values(answer.answers)
        if kind in ("form", "url"):
            if values is None or values.get("visit") is False:
                return {"action": "decline"}
            return {"action": "accept", "content": values if kind == "form" else {}}
        if values is None or values.get("approve") is False:
            default = PLAN_REJECTED if kind == "plan" else NO_HANDLER
            return {"behavior": "deny", "message": answer.reason or default}
        told = {} if kind == "plan" else {"answers": {name: _joined(value) for name, value in values.items()}}
        return {"behavior": "allow", "updatedInput": {**asked.input, **told}}

    def cancel(self, key: Key) -> dict[str, Any] | None:
        """The response for a request that will not be answered; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None:
            return None
        if asked.question is not None and asked.question.kind in ("form", "url"):
            return {"action": "cancel"}
        return {"behavior": "deny", "message": WITHDRAWN}


def _joined(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _asker(request: dict[str, Any], names: Mapping[str, str]) -> str | None:
    name = request.get("agent_id")
    if not isinstance(name, str):
        return None
    return f"subagent {name}" + (f": {names[name]}" if names.get(name) else "")


def _suggestions(request: dict[str, Any]) -> list[dict[str, Any]]:
    """What a lasting permission would change. Rules for the tool, if there are any: other suggestions come with them
    that allow much more (a mode in which every edit is accepted)."""
    every = dicts_of(request.get("permission_suggestions"))
    return [each for each in every if each.get("type") == "addRules"] or every


def _scopes(suggestions: list[dict[str, Any]]) -> tuple[Scope, ...]:
    if not suggestions:
        return ("once",)
    return ("once", "session") if any(map(_is_mode, suggestions)) else ("once", "session", "always")


def _is_mode(suggestion: dict[str, Any]) -> bool:
    return suggestion.get("type") == "setMode"


def _lasting(suggestions: list[dict[str, Any]], scope: Scope) -> list[dict[str, Any]]:
    if scope == "once":
        return []
    if scope == "session" or any(map(_is_mode, suggestions)):
        return [{**each, "destination": "session"} for each in suggestions]
    return [
        {**each, "destination": "localSettings"} if each.get("destination") == "session" else each
        for each in suggestions
    ]


def _covers(suggestion: dict[str, Any]) -> str:
    """What it would allow, in the agent's own notation."""
    rules = []
    for rule in dicts_of(suggestion.get("rules")):
        content = text_of(rule.get("ruleContent"))
        rules.append(text_of(rule.get("toolName")) + (f"({content})" if content else ""))
    directories = suggestion.get("directories")
    if isinstance(directories, list):
        rules += [f"the directory {each}" for each in directories if isinstance(each, str)]
    return ", ".join(rules) or f"{text_of(suggestion.get('type'))} {text_of(suggestion.get('mode'))}".strip()


def _server(request: dict[str, Any]) -> str | None:
    told = request.get("mcp_server")
    name = told.get("name") if isinstance(told, dict) else None
    return name if isinstance(name, str) else None
