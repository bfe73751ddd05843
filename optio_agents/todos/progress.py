"""A checklist, and what each update does to it.

Agents report the same list through several channels that disagree: a tool call is precise, while a plan may mark rows
as done too early. So the tool is the authority: the last status that it gave a text is remembered, and a plan cannot
complete a row that is in progress according to the tool.

Every lookup is by index, so a list that grows row by row takes time in proportion to its rows.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from optio_agents.todos.items import (
    CANCELLED,
    COMPLETED,
    ID_LIMIT,
    IN_PROGRESS,
    ITEM_LIMIT,
    ProgressReport,
    TodoFieldPatch,
    TodoItem,
    TodoUpdate,
    assign_ids,
    cut,
    status_of,
    within_limits,
)
from optio_agents.todos.saved import decode, encode

WIDGET_LIMIT = 4 * 1024 * 1024
"""The most bytes of rows that are shown; the database accepts 16 MB for a whole process."""

NAMED_LIMIT = 10
"""Rows in progress that a report names."""

NAME_LIMIT = 200
"""Characters of a row's text in a report."""

_TOOL_SOURCES = ("tool", "task", "task_list")
_CONTINUATIONS = (" (", " [")


class TodoProgress:
    """One checklist. `items` are its rows in order."""

    def __init__(self) -> None:
        self._rows: list[TodoItem] = []
        self._by_id: dict[str, int] = {}
        self._by_text: dict[str, list[int]] = {}
        self._completed = 0
        self._cancelled = 0
        self._in_progress: list[int] = []
        self._tool_status: dict[str, str] = {}

    @property
    def items(self) -> list[TodoItem]:
        """The rows, in order."""
        return list(self._rows)

    def apply(self, update: TodoUpdate) -> ProgressReport | None:
        """Apply an update; returns `report()`."""
        if update.steps:
            report = None
            for step in update.steps:
                report = self.apply(step)
            return report
        match update.source:
            case "task":
                self._merge(update.items, update.source)
                for patch in update.patches:
                    self._patch(patch)
                self._remove(update.remove_ids)
            case "task_list":
                self._replace_with_records(update.items)
            case _ if update.merge:
                self._merge(update.items, update.source)
            case _:
                self._replace(update.items, update.source)
        return self.report()

    def report(self) -> ProgressReport | None:
        """The progress of the list; `None` if no row counts. Cancelled rows do not count."""
        total = len(self._rows) - self._cancelled
        if total == 0:
            return None
        percent = (200 * self._completed + total) // (2 * total)  # rounded half up
        return ProgressReport(percent, self._sentence(total))

    def reconcile_tool(self, update: TodoUpdate) -> bool:
        """Apply only the statuses, to rows with the same texts. Returns whether anything has changed."""
        changed = False
        for item in map(within_limits, update.items[:ITEM_LIMIT]):
            self._tool_status[item.text] = item.status
            for index in self._by_text.get(item.text, ()):
                if self._rows[index].status != item.status:
                    self._set(index, replace(self._rows[index], status=item.status))
                    changed = True
        return changed

    def widget_items(self) -> list[dict[str, Any]]:
        """The rows as the dashboard shows them, up to `WIDGET_LIMIT` bytes in all."""
        shown = []
        size = 0
        for row in self._rows:
            item = {"id": row.id, "text": row.text, "status": row.status}
            if row.active is not None:
                item["active"] = row.active
            if row.description:
                item["description"] = row.description
            size += sum(len(key) + len(value.encode()) + 16 for key, value in item.items())
            if size > WIDGET_LIMIT:
                break
            shown.append(item)
        return shown

    def to_json(self) -> str:
        """The list as JSON, for `from_json`."""
        return encode(self._rows, self._tool_status)

    @classmethod
    def from_json(cls, text: str) -> TodoProgress | None:
        """The list that `to_json` wrote; `None` for anything else."""
        decoded = decode(text)
        if decoded is None:
            return None
        progress = cls()
        rows, progress._tool_status = decoded
        progress._reset(assign_ids([within_limits(row) for row in rows]))
        return progress

    # The kinds of updates.

    def _replace(self, items: list[TodoItem], source: str) -> None:
        rows = assign_ids([within_limits(item) for item in items[:ITEM_LIMIT]])
        if source in _TOOL_SOURCES:
            self._tool_status = {row.text: row.status for row in rows}
        self._reset([self._respecting_tool(row, source) for row in rows])

    def _merge(self, items: list[TodoItem], source: str) -> None:
        aliases: dict[str, int] = {}
        for number, item in enumerate(map(within_limits, items), start=1):
            if source in _TOOL_SOURCES:
                self._tool_status[item.text] = item.status
            row = self._respecting_tool(item, source)
            index = self._find(item, aliases)
            if index is None:
                self._append(row, number)
                continue
            if item.id:
                aliases[item.id] = index
            known = self._rows[index]
            self._set(
                index,
                replace(
                    row,
                    id=known.id,
                    active=known.active if row.active is None else row.active,
                    description=known.description if row.description is None else row.description,
                ),
            )

    def _find(self, item: TodoItem, aliases: dict[str, int]) -> int | None:
        if item.id:
            for known in (self._by_id, aliases):
                if (index := known.get(item.id)) is not None:
                    return index
        found = self._by_text.get(item.text)
        return found[0] if found else None

    def _patch(self, patch: TodoFieldPatch) -> None:
        identity = cut(patch.id, ID_LIMIT)
        index = self._by_id.get(identity)
        known = TodoItem(identity, f"#{identity}", "pending") if index is None else self._rows[index]
        given = {
            "text": patch.text,
            "status": status_of(patch.status),
            "active": patch.active,
            "description": patch.description,
        }
        row = within_limits(
            replace(known, **{name: value for name, value in given.items() if value is not None})
        )
        if index is None or given["status"] is not None:
            self._tool_status[row.text] = row.status
        if index is None:
            self._append(row)
        else:
            self._set(index, row)

    def _remove(self, ids: Iterable[str]) -> None:
        gone = {cut(identity, ID_LIMIT) for identity in ids} & self._by_id.keys()
        if gone:
            self._reset([row for row in self._rows if row.id not in gone])

    def _replace_with_records(self, items: list[TodoItem]) -> None:
        rows = []
        for item in map(within_limits, items[:ITEM_LIMIT]):
            index = self._by_id.get(item.id)
            known = None if index is None else self._rows[index]
            if known is None:
                rows.append(TodoItem(item.id, item.text, item.status))
            else:
                text = known.text if _continues(item.text, known.text) else item.text
                rows.append(replace(known, text=text, status=item.status))
        rows = assign_ids(rows)
        self._tool_status = {row.text: row.status for row in rows}
        self._reset(rows)

    def _respecting_tool(self, row: TodoItem, source: str) -> TodoItem:
        if source == "plan" and row.status == COMPLETED and self._tool_status.get(row.text) == IN_PROGRESS:
            return replace(row, status=IN_PROGRESS)
        return row

    # Rows, with their indexes and counts.

    def _reset(self, rows: Iterable[TodoItem]) -> None:
        self._rows, self._by_id, self._by_text = [], {}, {}
        self._completed = self._cancelled = 0
        self._in_progress = []
        for row in rows:
            self._append(row)

    def _append(self, row: TodoItem, number: int = 1) -> None:
        """Add a row at the end; `#<number>` makes an id unique that is taken."""
        if len(self._rows) >= ITEM_LIMIT:
            return
        identity = row.id or row.text
        while identity in self._by_id:
            identity = f"{identity}#{number}"
        row, index = replace(row, id=identity), len(self._rows)
        self._rows.append(row)
        self._by_id[identity] = index
        self._index(index, row)

    def _set(self, index: int, row: TodoItem) -> None:
        """Replace a row; the id stays."""
        known = self._rows[index]
        if known.text != row.text:
            self._by_text[known.text].remove(index)
            if not self._by_text[known.text]:
                del self._by_text[known.text]
        self._completed -= known.status == COMPLETED
        self._cancelled -= known.status == CANCELLED
        if known.status == IN_PROGRESS:
            self._in_progress.remove(index)
        self._rows[index] = row
        self._index(index, row, is_text_known=known.text == row.text)

    def _index(self, index: int, row: TodoItem, *, is_text_known: bool = False) -> None:
        if not is_text_known:
            insort(self._by_text.setdefault(row.text, []), index)
        self._completed += row.status == COMPLETED
        self._cancelled += row.status == CANCELLED
        if row.status == IN_PROGRESS:
            insort(self._in_progress, index)

    def _sentence(self, total: int) -> str | None:
        if not self._in_progress:
            return None
        named = self._in_progress[:NAMED_LIMIT]
        cancelled_before, seen = 0, 0
        tasks = []
        for index in named:
            if self._cancelled:
                cancelled_before += sum(row.status == CANCELLED for row in self._rows[seen:index])
            seen = index
            tasks.append(
                f'Task {index + 1 - cancelled_before}/{total}, "{cut(self._rows[index].text, NAME_LIMIT)}"'
            )
        more = len(self._in_progress) - len(named)
        return f"Now working on {' and '.join(tasks)}" + (f" and {more} more" if more else "")


def _continues(text: str, known: str) -> bool:
    return text == known or any(text.startswith(known + each) for each in _CONTINUATIONS)
