"""A checklist as JSON, and what is no checklist."""

from __future__ import annotations

import json

import pytest

from optio_agents.todos import TodoItem, TodoProgress, TodoUpdate


def test_a_list_is_restored_with_what_the_tool_said() -> None:
    progress = TodoProgress()
    progress.apply(
        TodoUpdate([TodoItem("1", "ä", "in_progress", "A", "D"), TodoItem("", "b", "pending")], False)
    )
    text = progress.to_json()
    assert json.loads(text) == {
        "items": [
            {
                "id": "1",
                "text": "ä",
                "status": "in_progress",
                "active": "A",
                "description": "D",
                "tool": "in_progress",
            },
            {"id": "b", "text": "b", "status": "pending", "tool": "pending"},
        ]
    }
    assert " " not in text
    restored = TodoProgress.from_json(text)
    assert restored is not None
    assert restored.items == progress.items
    assert restored.to_json() == text


def test_a_row_that_a_plan_completed_too_early_is_in_progress_again() -> None:
    restored = TodoProgress.from_json('{"items":[{"text":"a","status":"completed","tool":"in_progress"}]}')
    assert restored is not None
    assert restored.items == [TodoItem("a", "a", "in_progress")]


@pytest.mark.parametrize(
    "item", ['{"text":"a"}', '{"text":"a","status":3}', '{"text":"a","id":null,"tool":5,"x":1}']
)
def test_rows_are_read_tolerantly(item: str) -> None:
    restored = TodoProgress.from_json(f'{{"items":[{item}]}}')
    assert restored is not None
    assert restored.items == [TodoItem("a", "a", "pending")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "[]",
        "{}",
        '{"items":{}}',
        '{"items":[1]}',
        '{"items":[{"text":1}]}',
        '{"items":[{"id":1,"text":"a"}]}',
        '{"items":[{"text":"a","description":3}]}',
        "[" * 200_000,
        '{"items":' * 200_000,
    ],
    ids=lambda text: text[:20],
)
def test_anything_else_is_no_list(text: str) -> None:
    assert TodoProgress.from_json(text) is None


def test_a_huge_text_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from optio_agents.todos import saved

    monkeypatch.setattr(saved, "SIZE_LIMIT", 20)
    assert TodoProgress.from_json('{"items":[{"text":"a"}]}') is None
