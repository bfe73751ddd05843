"""What updates do to a checklist."""

from __future__ import annotations

import time

import pytest

from optio_agents.todos import (
    ProgressReport,
    TodoFieldPatch,
    TodoItem,
    TodoProgress,
    TodoUpdate,
    assign_ids,
    items as items_module,
    progress as progress_module,
)


def item(text: str, status: str = "pending", identity: str = "", **rest: str) -> TodoItem:
    return TodoItem(identity, text, status, **rest)


def update(*items: TodoItem, merge: bool = False, source: str = "tool") -> TodoUpdate:
    return TodoUpdate(list(items), merge, source)


def rows(progress: TodoProgress) -> list[tuple[str, str, str]]:
    return [(row.id, row.text, row.status) for row in progress.items]


def made(*updates: TodoUpdate) -> TodoProgress:
    progress = TodoProgress()
    for each in updates:
        progress.apply(each)
    return progress


def test_replacing_assigns_ids() -> None:
    progress = made(
        update(item("gone")), update(item("a"), item("a"), item("b", identity="1"), item("c", identity="1"))
    )
    assert rows(progress) == [
        ("a", "a", "pending"), ("a#1", "a", "pending"), ("1", "b", "pending"), ("1#3", "c", "pending"),
    ]  # fmt: skip


def test_ids_that_are_assigned_are_unique_whatever_they_were() -> None:
    given = [item("x", identity=each) for each in ("a", "a#1", "a", "a", "", "x")]
    assert len({each.id for each in assign_ids(given)}) == len(given)


@pytest.mark.parametrize(
    ("given", "read"),
    [("canceled", "cancelled"), ("done", "pending"), ("", "pending"), ("In_Progress", "pending")],
)
def test_statuses_are_read_tolerantly(given: str, read: str) -> None:
    assert made(update(item("a", given))).items[0].status == read


def test_merging_matches_by_id_then_by_text_else_appends() -> None:
    progress = made(
        update(item("a", identity="1"), item("b", identity="2", active="Doing b", description="why"))
    )
    progress.apply(
        update(
            item("A", "completed", "1"),
            item("b", "in_progress", "9"),
            # The id that was matched by text is an alias within this update.
            item("b again", "in_progress", "9"),
            item("c"),
            merge=True,
        )
    )
    assert rows(progress) == [
        ("1", "A", "completed"), ("2", "b again", "in_progress"), ("c", "c", "pending"),
    ]  # fmt: skip
    assert (progress.items[1].active, progress.items[1].description) == ("Doing b", "why")


def test_a_plan_cannot_complete_what_the_tool_says_is_in_progress() -> None:
    progress = made(update(item("a", "in_progress"), item("b")))
    plan = update(item("a", "completed"), item("b", "completed"), source="plan")
    progress.apply(plan)
    assert [row.status for row in progress.items] == ["in_progress", "completed"]
    progress.apply(update(item("a", "cancelled"), source="plan"))
    assert [row.status for row in progress.items] == ["cancelled"]
    progress.apply(update(item("other")))  # the tool's new list has no "a" any more
    progress.apply(plan)
    assert progress.items[0].status == "completed"


def test_task_records_are_patched_and_removed() -> None:
    progress = made(update(item("a", identity="1"), item("b", identity="2"), source="task", merge=True))
    patches = (
        TodoFieldPatch("1", status="in_progress", active="Doing"),
        TodoFieldPatch("1", status="nonsense", description="why"),
        TodoFieldPatch("7"),
        TodoFieldPatch("8", text="eight", status="completed"),
    )
    progress.apply(TodoUpdate([], merge=True, source="task", patches=patches, remove_ids=("2", "unknown")))
    assert rows(progress) == [
        ("1", "a", "in_progress"), ("7", "#7", "pending"), ("8", "eight", "completed"),
    ]  # fmt: skip
    assert progress.items[0] == TodoItem("1", "a", "in_progress", "Doing", "why")


def test_a_list_of_task_records_says_which_there_are() -> None:
    progress = made(update(item("write", identity="1", active="Writing"), item("gone", identity="2")))
    records = update(
        item("write [blocked]", "in_progress", "1"), item("new", "completed", "3"), source="task_list"
    )
    progress.apply(records)
    assert rows(progress) == [("1", "write", "in_progress"), ("3", "new", "completed")]
    assert progress.items[0].active == "Writing"
    progress.apply(update(item("rewrite", identity="1"), source="task_list"))
    assert progress.items == [TodoItem("1", "rewrite", "pending", "Writing")]


def test_steps_are_made_one_after_another() -> None:
    steps = (update(item("a", "in_progress")), update(item("a", "completed"), item("b"), merge=True))
    progress = TodoProgress()
    assert progress.apply(TodoUpdate([item("ignored")], merge=False, steps=steps)) == ProgressReport(50, None)
    assert rows(progress) == [("a", "a", "completed"), ("b", "b", "pending")]


def test_reconciling_corrects_statuses_only() -> None:
    progress = made(update(item("a", "in_progress", "1"), item("b", identity="2")))
    assert progress.reconcile_tool(update(item("a", "completed", "x"), item("unknown", "completed")))
    assert rows(progress) == [("1", "a", "completed"), ("2", "b", "pending")]
    assert not progress.reconcile_tool(update(item("a", "completed")))


@pytest.mark.parametrize(
    ("statuses", "report"),
    [
        ("", None),
        ("x", None),
        ("p", ProgressReport(0, None)),
        ("cp", ProgressReport(50, None)),
        ("ccp", ProgressReport(67, None)),
        ("cppppppp", ProgressReport(13, None)),
        ("ccc", ProgressReport(100, None)),
        ("xci", ProgressReport(50, 'Now working on Task 2/2, "2"')),
        ("ipxi", ProgressReport(0, 'Now working on Task 1/3, "0" and Task 3/3, "3"')),
    ],
)
def test_reports(statuses: str, report: ProgressReport | None) -> None:
    names = {"p": "pending", "i": "in_progress", "c": "completed", "x": "cancelled"}
    progress = made(update(*(item(str(number), names[each]) for number, each in enumerate(statuses))))
    assert progress.report() == report


def test_rows_for_the_dashboard() -> None:
    progress = made(
        update(item("a", identity="1", active="", description=""), item("b", active="B", description="D"))
    )
    assert progress.widget_items() == [
        {"id": "1", "text": "a", "status": "pending", "active": ""},
        {"id": "b", "text": "b", "status": "pending", "active": "B", "description": "D"},
    ]


# Limits: an agent may write anything.


def test_long_texts_are_cut() -> None:
    huge = "x" * 10_000_000
    progress = made(update(item(huge, "in_progress", huge, active=huge, description=huge)))
    (row,) = progress.widget_items()
    assert sum(len(value) for value in row.values()) < 3000
    report = progress.report()
    assert report is not None
    assert report.message is not None
    assert len(report.message) < 300
    progress.apply(update(item(huge, "completed"), merge=True))
    assert len(progress.items) == 1


def test_many_rows_in_progress_are_counted() -> None:
    progress = made(update(*(item(str(number), "in_progress") for number in range(100))))
    report = progress.report()
    assert report is not None
    assert report.message is not None
    assert report.message.endswith('Task 10/100, "9" and 90 more')


def test_a_list_has_a_greatest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "ITEM_LIMIT", 3)
    progress = made(update(*(item(str(number)) for number in range(5))))
    progress.apply(update(item("one more"), merge=True))
    assert [row.text for row in progress.items] == ["0", "1", "2"]


def test_what_is_shown_has_a_greatest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "WIDGET_LIMIT", 1000)
    progress = made(
        update(*(item("ü" * items_module.TEXT_LIMIT, identity=str(number)) for number in range(5)))
    )
    assert progress.widget_items() == []
    monkeypatch.setattr(progress_module, "WIDGET_LIMIT", 1200)
    assert len(progress.widget_items()) == 1


def test_lone_surrogates_do_not_reach_the_database() -> None:
    (row,) = made(update(item("bad \ud800 text"))).widget_items()
    assert row["text"] == "bad ? text"


def test_a_list_that_grows_row_by_row_takes_time_in_proportion() -> None:
    """5,000 rows took 10 s when each was compared with all others; the limit is for a machine that is busy."""
    progress = TodoProgress()
    started = time.process_time()
    for number in range(5000):
        progress.apply(update(item(f"row {number}", "in_progress" if number < 3 else "pending"), merge=True))
    assert time.process_time() - started < 2
    assert len(progress.items) == 5000
