"""Checklist updates from what agents write: arguments of todo tools, and plans of the Agent Client Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optio_agents.todos.items import CANCELLED, PENDING, TodoItem, TodoUpdate

TODO_TOOL_NAMES = frozenset({"todowrite", "writetodo"})
"""Names of todo tools, as `normalize_tool_name` returns them."""


def normalize_tool_name(name: str) -> str:
    """The name without case and underscores: agents write `TodoWrite`, `todo_write` and `todowrite`."""
    return name.casefold().replace("_", "")


def todo_update_from_payload(payload: Mapping[str, Any], *, source: str = "tool") -> TodoUpdate | None:
    """The update in a todo tool's arguments; `None` if they are malformed.

    Args:
        payload: `{"todos": [...], "merge"?: bool}`, with entries `{content or text, status?, id?, activeForm or
            active?, _meta.cancelled?}`; or `{"plan": [...]}`, with entries `{step, text or content, status?}`.
        source: See `TodoUpdate`.
    """
    entries = payload.get("todos") if "todos" in payload else payload.get("plan")
    names = ("content", "text") if "todos" in payload else ("step", "text", "content")
    if not isinstance(entries, list):
        return None
    items = []
    for entry in entries:
        item = _item(entry, names)
        if item is None:
            return None
        items.append(item)
    return TodoUpdate(items, payload.get("merge") is True, source)


def extract_acp_todo(event: Mapping[str, Any]) -> TodoUpdate | None:
    """The update in a `session/update` notification of the Agent Client Protocol: a plan, or a todo tool's call."""
    update = _mapping(_mapping(event.get("params")).get("update"))
    match update.get("sessionUpdate"):
        case "plan":
            entries = update.get("entries")
            if not isinstance(entries, list):
                return None
            items = [_item(entry, ("content",)) for entry in entries]
            known = [item for item in items if item is not None]
            return TodoUpdate(known, merge=False, source="plan") if len(known) == len(items) else None
        case "tool_call" | "tool_call_update" if _is_todo_tool(update):
            arguments = update.get("rawInput")
            return todo_update_from_payload(arguments) if isinstance(arguments, Mapping) else None
    return None


def _is_todo_tool(update: Mapping[str, Any]) -> bool:
    names = (
        _mapping(_mapping(update.get("_meta")).get("x.ai/tool")).get("name"),
        _mapping(update.get("rawInput")).get("variant"),
        update.get("title"),
        update.get("kind"),
    )
    return any(isinstance(name, str) and normalize_tool_name(name) in TODO_TOOL_NAMES for name in names)


def _item(entry: Any, names: tuple[str, ...]) -> TodoItem | None:
    if not isinstance(entry, Mapping):
        return None
    text = next((entry[name] for name in names if isinstance(entry.get(name), str)), None)
    if text is None:
        return None
    identity, status = entry.get("id"), entry.get("status")
    active = next(
        (entry[name] for name in ("activeForm", "active") if isinstance(entry.get(name), str)), None
    )
    if _mapping(entry.get("_meta")).get("cancelled") is True:
        status = CANCELLED
    return TodoItem(
        identity if isinstance(identity, str) else "",
        text,
        status if isinstance(status, str) else PENDING,
        active,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
