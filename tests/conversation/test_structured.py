"""The schema of an answer: of a type, or given; and what fits it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pytest

from optio_agents.conversation.structured import AnswerSchema


class Stop(msgspec.Struct):
    name: str


@dataclass
class Trip:
    to: str
    stops: list[Stop]


class Node(msgspec.Struct):
    children: list[Node] = []


class Note(TypedDict):
    text: str


GIVEN = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_a_type_gives_a_schema_whose_root_is_an_object() -> None:
    schema = AnswerSchema(Trip).schema
    assert (schema["type"], schema["required"]) == ("object", ["to", "stops"])
    assert set(schema["$defs"]) == {"Stop"}
    recursive = AnswerSchema(Node).schema
    assert recursive["type"] == "object"
    assert "Node" in recursive["$defs"]


def test_what_fits_becomes_a_value_of_the_type() -> None:
    data = {"to": "Rome", "stops": [{"name": "Pisa"}]}
    assert AnswerSchema(Trip).read(data) == Trip("Rome", [Stop("Pisa")])
    assert AnswerSchema(Note).read({"text": "x"}) == {"text": "x"}
    assert AnswerSchema(GIVEN).read({"n": 1}) == {"n": 1}


@pytest.mark.parametrize(
    ("wanted", "data", "complaint"),
    [
        (Trip, {"to": "x", "stops": [{"name": 1}]}, r"Expected `str`, got `int` - at `\$.stops\[0\].name`"),
        (Trip, "Rome", "Expected `object`, got `str`"),
        (GIVEN, {"n": "x"}, r"'x' is not of type 'integer' - at `\$.n`"),
        (GIVEN, {}, "'n' is a required property"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_where(wanted: Any, data: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        AnswerSchema(wanted).read(data)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (int, ValueError),
        (list[str], ValueError),
        ({"type": "array"}, ValueError),
        ({"type": "object", "properties": 7}, ValueError),
        ({"type": "object", "default": float("nan")}, ValueError),
        (type("Odd", (), {}), TypeError),
    ],
)
def test_what_is_no_schema_of_an_object_is_refused(wanted: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        AnswerSchema(wanted)


def test_without_jsonschema_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ImportError, match=r"pip install 'optio-agents\[tools\]', or use a dataclass"):
        AnswerSchema(GIVEN)
    AnswerSchema(Trip)
