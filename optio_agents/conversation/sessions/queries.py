"""Questions about an agent's sessions, asked of the agent. Sans-IO.

Each is a codec that asks when it starts, and is `Ready` with the answer: so a conversation opens over it, and closes.
Measured with codex 0.169.0, gemini 0.61.0 and opencode 1.18.33: `thread/list` (the source of a thread that an
app-server began is `vscode`), `thread/read`, and for ACP agents `session/list`, if they have that capability. Their
history is what `session/load` replays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from optio_agents.conversation.codecs.acp import PROTOCOL_VERSION, AcpCodec
from optio_agents.conversation.codecs.base import BackendStartFailed, Ready
from optio_agents.conversation.codecs.codex import CodexCodec
from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.codecs.jsonrpc import Out
from optio_agents.conversation.sessions.values import TITLE_LIMIT, KeptSession, PastTurn
from optio_agents.conversation.views.dispatch import views_of_raw
from optio_agents.conversation.views.values import View

CODEX_SOURCES = ["cli", "vscode", "exec", "appServer"]
"""Threads of users, not of subagents."""

GEMINIS_OWN = re.compile(r"<session_context>.*</session_context>|\[Function Response: [^\]]*\]", re.DOTALL)
"""What gemini replays as the user's words and is its own."""

CANNOT_LIST = "it cannot list its sessions"


class CodexSessions(CodexCodec):
    """The threads of a workdir, in `sessions`."""

    def __init__(self, *, cwd: str, limit: int) -> None:
        super().__init__(cwd=cwd)
        self._limit = limit
        self.sessions: list[KeptSession] = []

    def _initialized(self, result: Any, out: Out) -> None:
        self._notify("initialized")
        wanted = {"cwd": self._cwd, "limit": self._limit, "sourceKinds": CODEX_SOURCES}
        self._request_to_start("thread/list", {**wanted, "sortKey": "updated_at"}, self._listed)

    def _listed(self, result: Any, out: Out) -> None:
        for each in _dicts_in(result, "data"):
            if session := text_of(each.get("id")):
                title = text_of(each.get("name")) or text_of(each.get("preview"))
                self.sessions.append(
                    KeptSession(session, title[:TITLE_LIMIT], _number(each.get("updatedAt")))
                )
        out.append(Ready(None))


class CodexHistory(CodexCodec):
    """The turns of a thread, in `turns`."""

    def __init__(self, *, cwd: str, session: str) -> None:
        super().__init__(cwd=cwd)
        self._wanted = session
        self.turns: list[PastTurn] = []

    def _initialized(self, result: Any, out: Out) -> None:
        self._notify("initialized")
        self._request_to_start("thread/read", {"threadId": self._wanted, "includeTurns": True}, self._read)

    def _read(self, result: Any, out: Out) -> None:
        thread = result.get("thread") if isinstance(result, dict) else None
        self.turns = [_codex_turn(each) for each in _dicts_in(thread, "turns")]
        out.append(Ready(None))


def _codex_turn(turn: dict[str, Any]) -> PastTurn:
    prompts: list[str] = []
    views: list[View] = []
    for item in dicts_of(turn.get("items")):
        if item.get("type") == "userMessage":
            prompts += (text for part in dicts_of(item.get("content")) if (text := text_of(part.get("text"))))
            continue
        for method in ("item/started", "item/completed"):
            views += views_of_raw("codex", {"method": method, "params": {"item": item}})
    return PastTurn("\n".join(prompts), tuple(views))


class AcpSessions(AcpCodec):
    """The sessions of a workdir, in `sessions`."""

    def __init__(self, *, cwd: str) -> None:
        super().__init__(cwd=cwd)
        self.sessions: list[KeptSession] = []

    def _initialized(self, result: Any, out: Out) -> None:
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        if version != PROTOCOL_VERSION or not self.has_session_capability(result, "list"):
            out.append(BackendStartFailed(CANNOT_LIST))
            return
        self._request_to_start("session/list", {"cwd": self._cwd}, self._listed)

    def _listed(self, result: Any, out: Out) -> None:
        for each in _dicts_in(result, "sessions"):
            if session := text_of(each.get("sessionId")):
                title = text_of(each.get("title"))[:TITLE_LIMIT]
                self.sessions.append(KeptSession(session, title, _time(each.get("updatedAt"))))
        out.append(Ready(None))


class AcpHistory(AcpCodec):
    """The turns of a session, in `turns` once it is ready: what the agent replays when it loads it."""

    def __init__(self, *, cwd: str, session: str, replays_late: bool) -> None:
        super().__init__(cwd=cwd, session=session, replays_late=replays_late)
        self._replayed: list[dict[str, Any]] = []

    @property
    def turns(self) -> list[PastTurn]:
        """The turns that were replayed."""
        return list(_acp_turns(self._replayed))

    def _told(self, method: str, params: dict[str, Any], record: dict[str, Any], out: Out) -> None:
        self._replayed.append(record)
        super()._told(method, params, record, out)


def _acp_turns(records: list[dict[str, Any]]) -> Iterator[PastTurn]:
    prompt, views = "", list[View]()
    for record in records:
        params = record.get("params")
        update = params.get("update") if isinstance(params, dict) else None
        if isinstance(update, dict) and update.get("sessionUpdate") == "user_message_chunk":
            content = update.get("content")
            text = text_of(content.get("text")) if isinstance(content, dict) else ""
            if GEMINIS_OWN.fullmatch(text):
                continue
            if views:
                yield PastTurn(prompt, tuple(views))
                prompt, views = "", []
            prompt += text
        else:
            views += views_of_raw("acp", record)
    if prompt or views:
        yield PastTurn(prompt, tuple(views))


def _dicts_in(result: Any, name: str) -> list[dict[str, Any]]:
    return dicts_of(result.get(name)) if isinstance(result, dict) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(value: object) -> float | None:
    """The seconds since 1970 of an ISO 8601 time."""
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
