"""Questions in the three formats of the backends, as `AgentQuestion`s. Values only.

The forms are those of the Model Context Protocol's elicitation (2025-11-25), which claude, codex and the Agent Client
Protocol pass on: an object of flat properties, each a string, a number, a boolean, or a choice.
"""

from __future__ import annotations

from typing import Any, Literal

from optio_agents.conversation.requests import AgentQuestion, Choice, QuestionRequest

MULTIPLE_LIMIT = 256
"""How many questions or choices are read; more is no question to a person."""

YES_NO = (Choice("yes", value=True), Choice("no", value=False))


def text_of(value: object, default: str = "") -> str:
    """`value` if it is a text."""
    return value if isinstance(value, str) else default


def dicts_of(value: object) -> list[dict[str, Any]]:
    """The objects in a list, up to the limit; empty if `value` is not a list."""
    return (
        [each for each in value[:MULTIPLE_LIMIT] if isinstance(each, dict)] if isinstance(value, list) else []
    )


def listed_questions(
    asked: object, *, key: str, multiple: str, free_text: bool | str
) -> tuple[AgentQuestion, ...]:
    """Questions as claude and codex list them.

    Args:
        asked: The list.
        key, multiple: The names of the fields that hold these.
        free_text: Whether other answers are accepted; or the name of the field for that.
    """
    questions = []
    for each in dicts_of(asked):
        choices = tuple(
            Choice(text_of(option.get("label")), text_of(option.get("description")))
            for option in dicts_of(each.get("options"))
        )
        free = bool(each.get(free_text)) if isinstance(free_text, str) else free_text
        questions.append(
            AgentQuestion(
                text_of(each.get(key)) or text_of(each.get("question")),
                text_of(each.get("question")),
                header=text_of(each.get("header")),
                choices=choices,
                multiple=bool(each.get(multiple)),
                free_text=free or not choices,
                secret=bool(each.get("isSecret")),
            )
        )
    return tuple(questions)


def form_questions(schema: object) -> tuple[AgentQuestion, ...]:
    """The questions of a form."""
    fields = schema if isinstance(schema, dict) else {}
    properties = fields.get("properties")
    required = fields.get("required")
    required = required if isinstance(required, list) else []
    return tuple(
        _form_question(name, each, name in required)
        for name, each in list(properties.items() if isinstance(properties, dict) else ())[:MULTIPLE_LIMIT]
        if isinstance(each, dict)
    )


def _form_question(name: str, schema: dict[str, Any], required: bool) -> AgentQuestion:
    multiple = schema.get("type") == "array"
    items = schema.get("items")
    choices = _choices(items if multiple and isinstance(items, dict) else schema)
    kinds: dict[str, Literal["text", "number", "integer", "boolean"]] = {
        "number": "number",
        "integer": "integer",
        "boolean": "boolean",
    }
    kind = kinds.get(text_of(schema.get("type")), "text")
    return AgentQuestion(
        name,
        text_of(schema.get("description")) or text_of(schema.get("title")) or name,
        header=text_of(schema.get("title")),
        choices=YES_NO if kind == "boolean" else choices,
        multiple=multiple,
        free_text=not choices,
        required=required,
        kind=kind,
    )


def _choices(schema: dict[str, Any]) -> tuple[Choice, ...]:
    titled = dicts_of(schema.get("oneOf")) or dicts_of(schema.get("anyOf"))
    if titled:
        return tuple(
            Choice(text_of(each.get("title")) or str(each.get("const")), value=each.get("const"))
            for each in titled
        )
    values, names = schema.get("enum"), schema.get("enumNames")
    if not isinstance(values, list):
        return ()
    labels = names if isinstance(names, list) and len(names) == len(values) else values
    pairs = list(zip(labels, values, strict=True))[:MULTIPLE_LIMIT]
    return tuple(Choice(str(label), value=value) for label, value in pairs)


def elicitation(
    asked: dict[str, Any], schema: object, raw: dict[str, Any], turn: int | None, asker: str | None
) -> QuestionRequest:
    """An elicitation: an address to visit (`url`), or a form (`schema`)."""
    message, address = text_of(asked.get("message")), text_of(asked.get("url"))
    if address:
        visit = AgentQuestion("visit", f"open {address}?", choices=YES_NO, free_text=False)
        return QuestionRequest("url", message, (visit,), raw, turn, asker)
    return QuestionRequest("form", message, form_questions(schema), raw, turn, asker)


def plan_question() -> tuple[AgentQuestion, ...]:
    """The question whether a plan is approved."""
    return (AgentQuestion("approve", "approve the plan?", choices=YES_NO, free_text=False),)
