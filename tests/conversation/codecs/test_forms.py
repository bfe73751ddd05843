"""Forms and listed questions, as the questions that they are."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.conversation.codecs.forms import MULTIPLE_LIMIT, form_questions, listed_questions
from optio_agents.conversation.requests import AgentQuestion, Choice

PROPERTIES: dict[str, Any] = {
    "name": {"type": "string", "title": "Name", "description": "your name"},
    "size": {"type": "integer"},
    "sure": {"type": "boolean"},
    "colour": {"type": "string", "enum": ["r", "g"], "enumNames": ["red", "green"]},
    "pet": {"oneOf": [{"const": "c", "title": "cat"}, {"const": "d"}]},
    "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
}


def test_each_kind_of_field_is_a_question_whose_answer_becomes_a_value_of_its_type() -> None:
    questions = {each.key: each for each in form_questions({"properties": PROPERTIES, "required": ["name"]})}
    assert questions["name"].text == "your name"
    assert [each.required for each in questions.values()] == [True] + 5 * [False]
    assert questions["size"].value("12") == 12
    assert questions["sure"].value("yes") is True
    assert questions["colour"].value("green") == "g"
    assert questions["pet"].choices == (Choice("cat", value="c"), Choice("d", value="d"))
    assert questions["tags"].value(("x", "y")) == ["x", "y"]
    assert questions["tags"].value("x") == ["x"]


@pytest.mark.parametrize(("key", "answer"), [("size", "many"), ("sure", "perhaps"), ("colour", "blue")])
def test_what_is_no_answer_is_refused(key: str, answer: str) -> None:
    (question,) = [each for each in form_questions({"properties": PROPERTIES}) if each.key == key]
    with pytest.raises(ValueError, match=answer):
        question.value(answer)


@pytest.mark.parametrize("schema", [None, [], {"properties": 5}, {"properties": {"a": 5}}, {"required": {}}])
def test_what_is_no_form_has_no_questions(schema: object) -> None:
    assert form_questions(schema) == ()


def test_a_question_without_choices_takes_any_text() -> None:
    (question,) = listed_questions(
        [{"id": "q", "question": "why?"}], key="id", multiple="", free_text="isOther"
    )
    assert question == AgentQuestion("q", "why?")
    assert question.value("because") == "because"


def test_more_than_anyone_can_read_is_not_read() -> None:
    asked = [{"id": str(number), "question": "?"} for number in range(10 * MULTIPLE_LIMIT)]
    assert len(listed_questions(asked, key="id", multiple="", free_text=True)) == MULTIPLE_LIMIT
