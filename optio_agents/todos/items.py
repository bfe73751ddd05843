"""Rows of a checklist, updates to it, and its progress report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

PENDING, IN_PROGRESS, COMPLETED, CANCELLED = "pending", "in_progress", "completed", "cancelled"
STATUSES = frozenset({PENDING, IN_PROGRESS, COMPLETED, CANCELLED})

TEXT_LIMIT = 500
"""The most characters of a row's text and of its active form. Longer ones are cut: an agent may write anything."""

DESCRIPTION_LIMIT = 1000
"""The most characters of a row's description."""

ID_LIMIT = 200

ITEM_LIMIT = 5000
"""The most rows; further ones are left out."""

Source = Literal["tool", "plan", "task", "task_list"]
"""Who says so. `tool`: a todo tool's call. `plan`: a plan that the agent shows. `task`, `task_list`: an agent's own
task records, one by one, or all of them.
"""


@dataclass(frozen=True)
class TodoItem:
    """One row. A blank `id` gets one when the row is applied; `status` is read by `status_of`."""

    id: str
    text: str
    status: str
    active: str | None = None
    """The text for while it is in progress ("Writing tests")."""
    description: str | None = None


@dataclass(frozen=True)
class TodoFieldPatch:
    """Changes to the row `id`; `None` leaves a field as it is."""

    id: str
    text: str | None = None
    status: str | None = None
    active: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class TodoUpdate:
    """One report of an agent about its list.

    Args:
        items: Rows.
        merge: Merge them into the list; otherwise they replace it.
        source: Where the report comes from, see `Source`.
        patches: For `task`: changes to single rows.
        remove_ids: For `task`: rows to drop.
        steps: Updates to apply one after another, instead of this one.
    """

    items: list[TodoItem]
    merge: bool
    source: str = "tool"
    patches: tuple[TodoFieldPatch, ...] = ()
    remove_ids: tuple[str, ...] = ()
    steps: tuple[TodoUpdate, ...] = field(default=())


@dataclass(frozen=True)
class ProgressReport:
    """The progress of the list: percent of the rows that count, and a sentence while a row is in progress."""

    percent: int
    message: str | None


def status_of(status: object) -> str | None:
    """One of `STATUSES`; `None` for anything else."""
    if status == "canceled":
        return CANCELLED
    return status if isinstance(status, str) and status in STATUSES else None


def assign_ids(items: Sequence[TodoItem]) -> list[TodoItem]:
    """The rows with an id each: a blank one becomes the text, and `#<index>` is added to one that is taken."""
    taken: set[str] = set()
    assigned = []
    for index, item in enumerate(items):
        identity = item.id or item.text
        while identity in taken:
            identity = f"{identity}#{index}"
        taken.add(identity)
        assigned.append(replace(item, id=identity))
    return assigned


def within_limits(item: TodoItem) -> TodoItem:
    """The row with a known status and texts that are not too long."""
    return TodoItem(
        cut(item.id, ID_LIMIT),
        cut(item.text, TEXT_LIMIT),
        status_of(item.status) or PENDING,
        None if item.active is None else cut(item.active, TEXT_LIMIT),
        None if item.description is None else cut(item.description, DESCRIPTION_LIMIT),
    )


def cut(text: str, limit: int) -> str:
    """`text`, or its beginning and an ellipsis. Lone surrogates, which no database takes, are replaced."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
