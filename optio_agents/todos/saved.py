"""A checklist as JSON.

`{"items": [{"id", "text", "status", "active"?, "description"?, "tool"?}]}`; `tool` is the last status that the todo
tool gave the row's text. The file was in the agent's workdir, so anything except a well-formed list is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from optio_agents.todos.items import COMPLETED, IN_PROGRESS, ITEM_LIMIT, TodoItem, status_of

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of a saved list. A full one has fewer."""


def encode(rows: Iterable[TodoItem], tool_status: Mapping[str, str]) -> str:
    """Rows, and the last status that the tool gave each text, as JSON."""
    items = []
    for row in rows:
        item = {"id": row.id, "text": row.text, "status": row.status}
        optional = {"active": row.active, "description": row.description, "tool": tool_status.get(row.text)}
        items.append(item | {name: value for name, value in optional.items() if value is not None})
    return json.dumps({"items": items}, separators=(",", ":"), ensure_ascii=False)


def decode(text: str) -> tuple[list[TodoItem], dict[str, str]] | None:
    """The arguments of `encode`; `None` for a text that it did not write. Unknown statuses become pending."""
    try:
        data = json.loads(text) if len(text) <= SIZE_LIMIT else None
    except (ValueError, RecursionError):
        return None
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        return None
    rows: list[TodoItem] = []
    tool: dict[str, str] = {}
    for item in items[:ITEM_LIMIT]:
        row = _row(item)
        if row is None:
            return None
        said = status_of(item.get("tool"))
        if said is not None:
            tool[row.text] = said
        rows.append(
            replace(row, status=IN_PROGRESS) if (said, row.status) == (IN_PROGRESS, COMPLETED) else row
        )
    return rows, tool


def _row(item: Any) -> TodoItem | None:
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return None
    optional = {name: item.get(name) for name in ("id", "active", "description")}
    if any(value is not None and not isinstance(value, str) for value in optional.values()):
        return None
    status = status_of(item.get("status")) or "pending"
    return TodoItem(optional["id"] or "", item["text"], status, optional["active"], optional["description"])
