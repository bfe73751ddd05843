"""The requests of codex to its user, and their answers: approvals, questions, elicitation of MCP servers.

The shapes are those of `codex app-server generate-ts` (0.169.0). A call of an MCP tool is asked as an elicitation whose
`_meta.codex_approval_kind` is `mcp_tool_call`; `_meta.persist` lists for how long it can be allowed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from optio_agents.conversation.codecs.base import Key, PermissionAsked, QuestionAsked
from optio_agents.conversation.codecs.forms import elicitation, listed_questions, text_of
from optio_agents.conversation.requests import NO_HANDLER, QuestionAnswer, QuestionRequest
from optio_agents.conversation.surface import PermissionDecision, Scope

COMMAND = "item/commandExecution/requestApproval"
FILE_CHANGE = "item/fileChange/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
USER_INPUT = "item/tool/requestUserInput"
ELICITATION = "mcpServer/elicitation/request"

APPROVALS = {COMMAND: "commandExecution", FILE_CHANGE: "fileChange", PERMISSIONS: "permissions"}
"""The requests that are permission requests, and the tool that each is about."""

ACTIONS = {"allow": "accept", "deny": "decline"}


class CodexAsked(NamedTuple):
    """An open request."""

    method: str
    params: dict[str, Any]
    question: QuestionRequest | None


class CodexRequests:
    """The open requests: what each asked for, and the result that answers it."""

    def __init__(self) -> None:
        self._open: dict[Key, CodexAsked] = {}

    def open(
        self,
        key: Key,
        method: str,
        params: dict[str, Any],
        record: dict[str, Any],
        turn: int | None,
        asker: str | None,
    ) -> PermissionAsked | QuestionAsked | None:
        """The signal for a request; `None` if it is not for a user."""
        if method in APPROVALS:
            self._open.setdefault(key, CodexAsked(method, params, None))
            scopes, covers = _scopes(method, params)
            return PermissionAsked(key, turn, APPROVALS[method], params, record, asker, scopes, covers)
        if method == USER_INPUT:
            questions = listed_questions(params.get("questions"), key="id", multiple="", free_text="isOther")
            question = QuestionRequest("questions", "", questions, record, turn, asker)
        elif method != ELICITATION:
            return None
        elif (meta := _meta(params)).get("codex_approval_kind") == "mcp_tool_call":
            self._open.setdefault(key, CodexAsked(method, params, None))
            by_server = text_of(params.get("serverName"))
            tool = f"mcp__{by_server}__{text_of(meta.get('tool_name'))}"
            given = meta.get("tool_params")
            shown = given if isinstance(given, dict) else {"message": text_of(params.get("message"))}
            scopes = _persist(meta)
            return PermissionAsked(key, turn, tool, shown, record, asker, scopes, (tool,), by_server)
        else:
            server = text_of(params.get("serverName"))
            by = asker or (f"MCP server {server}" if server else None)
            question = elicitation(params, params.get("requestedSchema"), record, turn, by)
        self._open.setdefault(key, CodexAsked(method, params, question))
        return QuestionAsked(key, question)

    def withdraw(self, key: object) -> bool:
        """Remove a request for which the agent no longer waits; return whether it was open."""
        return isinstance(key, str | int) and self._open.pop(key, None) is not None

    def decide(self, key: Key, decision: PermissionDecision) -> dict[str, Any] | None:
        """The result that says it; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None:
            return None
        allowed = decision.behavior == "allow"
        if asked.method == ELICITATION:
            action = "cancel" if decision.interrupt else ACTIONS[decision.behavior]
            scope = _narrowed(decision.scope, _persist(_meta(asked.params)))
            meta = {"persist": scope} if allowed and scope != "once" else None
            return {"action": action, "content": {} if allowed else None, "_meta": meta}
        if asked.method == PERMISSIONS:
            granted = asked.params.get("permissions") if allowed else {}
            return {
                "permissions": granted if isinstance(granted, dict) else {},
                "scope": "turn" if decision.scope == "once" else "session",
            }
        if not allowed:
            return {"decision": "cancel" if decision.interrupt else "decline"}
        scope = _narrowed(decision.scope, _scopes(asked.method, asked.params)[0])
        amendment = {"execpolicy_amendment": asked.params.get("proposedExecpolicyAmendment")}
        answers: dict[Scope, Any] = {
            "once": "accept",
            "session": "acceptForSession",
            "always": {"acceptWithExecpolicyAmendment": amendment},
        }
        return {"decision": answers[scope]}

    def answer(self, key: Key, answer: QuestionAnswer) -> dict[str, Any] | None:
        """The result that says it; `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None or asked.question is None:
            return None
        question = asked.question
        values = None if answer.answers is None else question.values(answer.answers)
        if question.kind == "questions":
            # There is no other way to decline: the model reads the reason as the answer.
            refusal = {each.key: answer.reason or NO_HANDLER for each in question.questions}
            told = refusal if values is None else values
            return {"answers": {name: {"answers": [str(value)]} for name, value in told.items()}}
        if values is None or values.get("visit") is False:
            return {"action": "decline", "content": None, "_meta": None}
        return {"action": "accept", "content": values if question.kind == "form" else None, "_meta": None}

    def cancel(self, key: Key) -> dict[str, Any] | None:
        """The result for a request that will not be answered; it ends the turn. `None` if the request is not open."""
        asked = self._open.pop(key, None)
        if asked is None:
            return None
        if asked.method == USER_INPUT:
            return {"answers": {}}
        if asked.method == PERMISSIONS:
            return {"permissions": {}, "scope": "turn"}
        if asked.method == ELICITATION:
            return {"action": "cancel", "content": None, "_meta": None}
        return {"decision": "cancel"}


def _meta(params: dict[str, Any]) -> dict[str, Any]:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def _persist(meta: dict[str, Any]) -> tuple[Scope, ...]:
    offered = meta.get("persist")
    offered = offered if isinstance(offered, list) else []
    lasting: tuple[Scope, ...] = ("session", "always")
    return ("once", *(scope for scope in lasting if scope in offered))


def _scopes(method: str, params: dict[str, Any]) -> tuple[tuple[Scope, ...], tuple[str, ...]]:
    """The possible scopes of a permission, and what a lasting one covers."""
    if method != COMMAND:
        return ("once", "session"), ()
    available = params.get("availableDecisions")
    available = available if isinstance(available, list) else ["accept", "acceptForSession"]
    scopes: list[Scope] = ["once"]
    if "acceptForSession" in available:
        scopes.append("session")
    amendment = params.get("proposedExecpolicyAmendment")
    if amendment and any(
        isinstance(each, dict) and "acceptWithExecpolicyAmendment" in each for each in available
    ):
        scopes.append("always")
        words = amendment if isinstance(amendment, list) else [amendment]
        return tuple(scopes), (" ".join(map(str, words)),)
    return tuple(scopes), ()


def _narrowed(scope: Scope, offered: tuple[Scope, ...]) -> Scope:
    order: tuple[Scope, ...] = ("once", "session", "always")
    return max((each for each in offered if order.index(each) <= order.index(scope)), key=order.index)
