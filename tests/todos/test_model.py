"""A checklist beside a model that compares every row with every other: random updates, one after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from optio_agents.todos import ProgressReport, TodoFieldPatch, TodoItem, TodoProgress, TodoUpdate

STATUSES = ["pending", "in_progress", "completed", "cancelled"]
IDS = st.sampled_from(["", "1", "2", "a"])
TEXTS = st.sampled_from(["a", "b", "c", "a (x)"])
ITEMS = st.lists(
    st.builds(TodoItem, IDS, TEXTS, st.sampled_from(STATUSES), st.sampled_from([None, "A"])), max_size=4
)
PATCHES = st.lists(
    st.builds(
        TodoFieldPatch,
        st.sampled_from(["1", "2", "9"]),
        st.none() | TEXTS,
        st.none() | st.sampled_from(STATUSES),
    ),
    max_size=2,
)


class Model:
    """Rows in a plain list, searched from the start each time."""

    def __init__(self) -> None:
        self.rows: list[TodoItem] = []
        self.tool: dict[str, str] = {}

    def shown(self, item: TodoItem, source: str) -> TodoItem:
        held = source == "plan" and item.status == "completed" and self.tool.get(item.text) == "in_progress"
        return replace(item, status="in_progress") if held else item

    def unique(self, identity: str, number: int) -> str:
        while any(row.id == identity for row in self.rows):
            identity += f"#{number}"
        return identity

    def replace(self, items: list[TodoItem], source: str) -> None:
        self.rows = []
        if source == "tool":
            self.tool = {item.text: item.status for item in items}
        for number, item in enumerate(items):
            identity = self.unique(item.id or item.text, number)
            self.rows.append(replace(self.shown(item, source), id=identity))

    def merge(self, items: list[TodoItem], source: str) -> None:
        aliases: dict[str, str] = {}
        for number, item in enumerate(items, start=1):
            if source != "plan":
                self.tool[item.text] = item.status
            by_id = [row for row in self.rows if item.id and row.id in (item.id, aliases.get(item.id))]
            exact = [row for row in by_id if row.id == item.id]
            by_text = [row for row in self.rows if row.text == item.text]
            found = [*exact, *by_id, *by_text]
            row = self.shown(item, source)
            if not found:
                self.rows.append(replace(row, id=self.unique(item.id or item.text, number)))
                continue
            if item.id:
                aliases[item.id] = found[0].id
            at = self.rows.index(found[0])
            self.rows[at] = replace(row, id=found[0].id, active=row.active or found[0].active)

    def patch(self, patch: TodoFieldPatch) -> None:
        at = next((n for n, row in enumerate(self.rows) if row.id == patch.id), None)
        known = TodoItem(patch.id, f"#{patch.id}", "pending") if at is None else self.rows[at]
        row = replace(known, text=patch.text or known.text, status=patch.status or known.status)
        if at is None or patch.status:
            self.tool[row.text] = row.status
        if at is None:
            self.rows.append(row)
        else:
            self.rows[at] = row

    def report(self) -> ProgressReport | None:
        counted = [row for row in self.rows if row.status != "cancelled"]
        if not counted:
            return None
        tasks = [
            f'Task {number}/{len(counted)}, "{row.text}"'
            for number, row in enumerate(counted, start=1)
            if row.status == "in_progress"
        ]
        done = sum(row.status == "completed" for row in counted)
        message = f"Now working on {' and '.join(tasks)}" if tasks else None
        return ProgressReport(int(100 * done / len(counted) + 0.5), message)


class Checklist(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.progress = TodoProgress()
        self.model = Model()

    @rule(items=ITEMS, source=st.sampled_from(["tool", "plan"]))
    def replaces(self, items: list[TodoItem], source: str) -> None:
        self.progress.apply(TodoUpdate(items, merge=False, source=source))
        self.model.replace(items, source)

    @rule(items=ITEMS, source=st.sampled_from(["tool", "plan"]))
    def merges(self, items: list[TodoItem], source: str) -> None:
        self.progress.apply(TodoUpdate(items, merge=True, source=source))
        self.model.merge(items, source)

    @rule(items=ITEMS, patches=PATCHES, removed=st.lists(st.sampled_from(["1", "2", "zz"]), max_size=2))
    def changes_records(
        self, items: list[TodoItem], patches: list[TodoFieldPatch], removed: list[str]
    ) -> None:
        self.progress.apply(
            TodoUpdate(items, merge=True, source="task", patches=tuple(patches), remove_ids=tuple(removed))
        )
        self.model.merge(items, "task")
        for patch in patches:
            self.model.patch(patch)
        self.model.rows = [row for row in self.model.rows if row.id not in removed]

    @rule(items=ITEMS)
    def reconciles(self, items: list[TodoItem]) -> None:
        before = self.progress.items
        changed = self.progress.reconcile_tool(TodoUpdate(items, merge=False))
        for item in items:
            self.model.tool[item.text] = item.status
            self.model.rows = [
                replace(row, status=item.status) if row.text == item.text else row for row in self.model.rows
            ]
        assert changed or self.progress.items == before

    @rule()
    def is_saved_and_restored(self) -> None:
        restored = TodoProgress.from_json(self.progress.to_json())
        assert restored is not None
        self.progress = restored
        # What the tool said of texts that no row has is not saved.
        texts = {row.text for row in self.model.rows}
        self.model.tool = {text: status for text, status in self.model.tool.items() if text in texts}
        self.model.rows = [self._as_restored(row) for row in self.model.rows]

    def _as_restored(self, row: TodoItem) -> TodoItem:
        held = row.status == "completed" and self.model.tool.get(row.text) == "in_progress"
        return replace(row, status="in_progress") if held else row

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert self.progress.items == self.model.rows
        assert self.progress.report() == self.model.report()
        assert len({row.id for row in self.progress.items}) == len(self.progress.items)


Checklist.TestCase.settings = settings(max_examples=200, stateful_step_count=20)
TestChecklist: Any = Checklist.TestCase
