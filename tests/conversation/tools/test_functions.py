"""A function as a tool: its schema, its arguments, and what the model reads of its result."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from optio_agents.conversation.tools.functions import Function, ToolFunction, result_text, tool_functions


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Trip:
    to: str
    nights: int = 1


class Extra(TypedDict, total=False):
    note: str


async def book(
    trip: Trip,
    colour: Colour,
    seats: Annotated[int, msgspec.Meta(ge=1, le=9, description="how many")] = 1,
    mode: Literal["fast", "slow"] = "slow",
    extra: Extra | None = None,
    *,
    tags: list[str] = ["none"],  # noqa: B006 - what a call leaves out keeps Python's own default
) -> str:
    """Book a trip.

    The model reads all of this.
    """
    return f"{trip.to} {trip.nights} {colour.name} {seats} {mode} {extra} {tags}"


def test_the_schema_follows_from_the_annotations() -> None:
    tool = ToolFunction(book)
    assert (tool.name, tool.description) == ("book", "Book a trip.\n\nThe model reads all of this.")
    assert tool.schema["type"] == "object"
    assert tool.schema["required"] == ["trip", "colour"]
    assert tool.schema["additionalProperties"] is False
    properties = tool.schema["properties"]
    assert properties["seats"] == {"type": "integer", "minimum": 1, "maximum": 9, "description": "how many"}
    assert properties["mode"] == {"enum": ["fast", "slow"]}
    assert properties["trip"] == {"$ref": "#/$defs/Trip"}
    assert tool.schema["$defs"]["Trip"]["required"] == ["to"]
    json.dumps(tool.schema)


async def test_arguments_become_what_the_annotations_say() -> None:
    tool = ToolFunction(book)
    given = {"trip": {"to": "Uppsala"}, "colour": "green", "tags": ["a"]}
    assert await book(**tool.arguments(given)) == "Uppsala 1 GREEN 1 slow None ['a']"
    assert await book(**tool.arguments({"trip": {"to": "Rome", "nights": 2}, "colour": "red"})) == (
        "Rome 2 RED 1 slow None ['none']"
    )


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "missing required field `trip`"),
        ({"trip": {"to": 1}, "colour": "red"}, r"Expected `str`, got `int` - at `\$.trip.to`"),
        ({"trip": {"to": "x"}, "colour": "blue"}, "Invalid enum value 'blue'"),
        ({"trip": {"to": "x"}, "colour": "red", "seats": 10}, "<= 9"),
        ({"trip": {"to": "x"}, "colour": "red", "sets": 1}, "unknown field `sets`"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words_for_the_model(
    given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=f"the arguments of book do not fit: .*{complaint}"):
        ToolFunction(book).arguments(given)


class Searcher:
    """Search."""

    async def __call__(self, words: str) -> str:
        return words

    async def find(self, words: str) -> str:
        """Find."""
        return words


def test_methods_and_objects_are_tools_too() -> None:
    tools = tool_functions([Searcher(), Searcher().find])
    assert {name: tool.description for name, tool in tools.items()} == {
        "Searcher": "Search.",
        "find": "Find.",
    }
    assert tools["find"].arguments({"words": "x"}) == {"words": "x"}


def synchronous(words: str) -> str:
    return words


async def unannotated(words) -> None:  # type: ignore[no-untyped-def]
    pass


async def anything(*words: str) -> None:
    pass


async def positional(words: str, /) -> None:
    pass


async def unknown(words: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    pass


async def unspeakable(words: type) -> None:
    pass


async def naïve(words: str) -> None:  # noqa: PLC2401 - the point
    pass


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (synchronous, r"a tool is a coroutine function \(async def\), and synchronous is not"),
        (unannotated, "the parameter words of the tool unannotated has no annotation"),
        (anything, "has the variadic positional parameter words"),
        (positional, "the tool positional has the positional-only parameter words"),
        (unknown, "an annotation of the tool unknown cannot be read: .*Nowhere"),
        (unspeakable, "a parameter of the tool unspeakable has no JSON schema"),
        (naïve, "letters, digits, _ and -, and 'naïve' has others"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_reason(function: Function, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        ToolFunction(function)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two tools have the name 'book'"):
        tool_functions([book, book])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("plain words", "plain words"),
        ("42 huts", "42 huts"),
        ({"a": 1}, '{"a":1}'),
        (Trip("Rome"), '{"to":"Rome","nights":1}'),
        ([1, 2], '{"result":[1,2]}'),
        (42, '{"result":42}'),
        ("42", '{"result":"42"}'),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_a_result_is_read_as_text_or_as_an_object(value: object, text: str) -> None:
    assert result_text(value, 1000) == text


def test_of_a_long_result_both_ends_remain() -> None:
    text = result_text("first" + "x" * 10_000_000 + "last", 100)
    assert text.startswith("firstxxx")
    assert text.endswith("xxxlast")
    assert "9999909 of 10000009 characters left out" in text
    assert len(text) < 200


def test_a_result_without_a_form_in_json_is_an_error() -> None:
    with pytest.raises(TypeError):
        result_text(object(), 100)
