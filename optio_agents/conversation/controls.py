"""The controls of a conversation: what an agent lets its user change while it runs, in one vocabulary for all agents.

Three controls have the same id for every agent that has them: `MODEL`, `EFFORT` and `PERMISSION_MODE`. Their values are
the agent's own, and `SessionControl` lists them. What else an agent offers keeps the agent's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from optio_agents.conversation.sendable import check_text
from optio_agents.session_controls import ControlOption, SessionControl, effort_control, model_control

MODEL: Final = "model"
EFFORT: Final = "reasoning_effort"
PERMISSION_MODE: Final = "permission_mode"

NAME_LIMIT: Final = 500
"""Characters of a value, a label or a description: agents write them."""

NO_LEVELS: Final = "This model has no levels of effort."


class ControlEnd(NamedTuple):
    """What became of a change. `is_known`: the agent has such a control; `reason`: why the value was not taken."""

    is_known: bool
    reason: str | None = None


def shown(value: object) -> str | None:
    """A text of the agent's, cut to what is shown of it."""
    return value[:NAME_LIMIT] if isinstance(value, str) and value else None


def listed_option(
    value: object, label: object, description: object, group: str | None = None
) -> list[ControlOption]:
    """The option that an agent lists, if it has a usable value."""
    if not isinstance(value, str) or not 0 < len(value) <= NAME_LIMIT:
        return []
    return [ControlOption(value, shown(label) or value, shown(description), group=group)]


def listed_model_control(
    models: Iterable[Mapping[str, Any]], current: str, *, value: str, label: str
) -> SessionControl:
    """The selector of the model.

    Args:
        models: as the agent lists them.
        current: the present one; it is an option, too, if the agent does not list it.
        value, label: the names of these fields in `models`.
    """
    options = [
        option
        for model in models
        for option in listed_option(model.get(value), model.get(label), model.get("description"))
    ]
    if all(option.value != current for option in options):
        options += listed_option(current, None, None)
    rows = [{"id": each.value, "label": each.label, "description": each.description} for each in options]
    return model_control(models=rows, current=current)


def listed_effort_control(levels: Sequence[str], current: str) -> SessionControl:
    """The slider of the effort; of a model without levels it is disabled."""
    why = None if levels else NO_LEVELS
    return effort_control(levels=levels, current=current, disabled=not levels, why_disabled=why)


def permission_mode_control(options: Sequence[ControlOption], current: str | None) -> SessionControl:
    """The selector of what the agent may do without asking."""
    return SessionControl(
        id=PERMISSION_MODE,
        kind="select",
        label="Permissions",
        value=current or "",
        category="mode",
        description="What may the agent do without asking?",
        options=list(options),
        inline_descriptions=True,
    )


def find_control(controls: Iterable[SessionControl], control_id: str) -> SessionControl | None:
    """The control of that id."""
    return next((each for each in controls if each.id == control_id), None)


def reason_against(control: SessionControl, value: str | bool) -> str | None:
    """Why a control cannot take a value; `None` if it can.

    A model need not be listed: agents take more names than they list. A wrong one fails the next turn.
    """
    if control.id == MODEL:
        return _reason_against_name(value)
    if control.disabled:
        return control.why_disabled or f"{control.id} cannot be changed now"
    if control.kind == "boolean":
        return None if isinstance(value, bool) else f"{control.id} takes True or False, not {value!r}"
    offered = [option.value for option in control.options or () if not option.disabled] + (
        control.levels or []
    )
    if value in offered:
        return None
    return f"{control.id} cannot be {value!r:.100}; it can be {', '.join(offered)}"


def _reason_against_name(value: str | bool) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return f"model takes the name of a model, not {value!r:.100}"
    try:
        check_text("the name of a model", value)
    except ValueError as error:
        return str(error)
    return f"the name of a model has at most {NAME_LIMIT} characters" if len(value) > NAME_LIMIT else None
