"""Selectors of the conversation view for what an agent lets its user change: model, effort, mode.

An agent package describes them with these values; `to_dict` gives the form that the dashboard reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

ControlKind = Literal["select", "boolean", "segmented", "slider"]
"""How a control is drawn: a list, a switch, a row of buttons, a slider."""

SINGLE_OPTION_REASON = "There is only one option."
"""Why a selector with a single option is disabled."""

MODEL_DESCRIPTION = "Which model answers in this conversation?"

EFFORT_DESCRIPTION = "How thoroughly should the model think before it answers?"


@dataclass(frozen=True)
class ControlOption:
    """One option of a `SessionControl`.

    Attributes:
        value: what is set when it is chosen.
        label: what the user reads.
        description: a line below it.
        disabled, why_disabled: it is shown but cannot be chosen, and the reason.
        variant: how prominent it is.
        confirm: a question to answer before it takes effect.
        group: the heading under which it is listed.
    """

    value: str
    label: str
    description: str | None = None
    disabled: bool = False
    why_disabled: str | None = None
    variant: Literal["primary", "danger"] | None = None
    confirm: str | None = None
    group: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The form that the dashboard reads."""
        return {
            "value": self.value,
            "label": self.label,
            "disabled": self.disabled,
            **_given(
                description=self.description,
                whyDisabled=self.why_disabled,
                variant=self.variant,
                confirm=self.confirm,
                group=self.group,
            ),
        }


@dataclass(frozen=True)
class SessionControl:
    """One selector.

    Attributes:
        id: what `Conversation.set_control` gets.
        kind: how it is drawn.
        label: its name.
        value: the present value.
        category: what it is about (`model`, `thought_level`), for the dashboard's own grouping.
        description: a line about it.
        options: of a `select` or `segmented`.
        levels: of a `slider`, lowest first.
        disabled, why_disabled: it is shown but cannot be changed, and the reason.
        inline_descriptions: show the options' descriptions in the list.
    """

    id: str
    kind: ControlKind
    label: str
    value: str | bool
    category: str | None = None
    description: str | None = None
    options: list[ControlOption] | None = None
    levels: list[str] | None = None
    disabled: bool = False
    why_disabled: str | None = None
    inline_descriptions: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The form that the dashboard reads."""
        return {
            "id": self.id,
            "kind": self.kind,
            "label": self.label,
            "value": self.value,
            "disabled": self.disabled,
            **_given(
                category=self.category,
                description=self.description,
                options=None if self.options is None else [option.to_dict() for option in self.options],
                levels=None if self.levels is None else list(self.levels),
                whyDisabled=self.why_disabled,
                inlineDescriptions=True if self.inline_descriptions else None,
            ),
        }


def model_control(
    *,
    models: Sequence[Mapping[str, Any]],
    current: str | None,
    label: str = "Model",
    description: str | None = MODEL_DESCRIPTION,
) -> SessionControl:
    """The selector of the model.

    Args:
        models: `id`, and optionally `label`, `description`, `disabled`, `disabledReason` and `group` of each.
        current: the id of the present model, if known.
        label: its name.
        description: a line about it.
    """
    options = [
        ControlOption(
            value=model["id"],
            label=model.get("label") or model["id"],
            description=model.get("description"),
            disabled=bool(model.get("disabled")),
            why_disabled=model.get("disabledReason"),
            group=model.get("group"),
        )
        for model in models
    ]
    no_choice = len(options) <= 1
    return SessionControl(
        id="model",
        kind="select",
        label=label,
        value=current or "",
        category="model",
        description=description,
        options=options,
        disabled=no_choice,
        why_disabled=SINGLE_OPTION_REASON if no_choice else None,
        inline_descriptions=True,
    )


def effort_control(
    *,
    levels: Sequence[str],
    current: str | None,
    disabled: bool = False,
    why_disabled: str | None = None,
    label: str = "Effort",
    description: str | None = EFFORT_DESCRIPTION,
) -> SessionControl:
    """The slider of the reasoning effort.

    Args:
        levels: lowest first.
        current: the present level; the first one if `None`.
        disabled, why_disabled: it cannot be changed, and the reason.
        label: its name.
        description: a line about it.
    """
    return SessionControl(
        id="reasoning_effort",
        kind="slider",
        label=label,
        value=current or (levels[0] if levels else ""),
        category="thought_level",
        description=description,
        levels=list(levels),
        disabled=disabled,
        why_disabled=why_disabled,
    )


def control_allowed(control_id: str, allowed: Iterable[str] | None) -> bool:
    """Whether a control may be shown and set. `None` allows all; a plain string is an id, not a set of letters."""
    if allowed is None:
        return True
    return control_id == allowed if isinstance(allowed, str) else control_id in allowed


def filter_controls(
    controls: Iterable[dict[str, Any]], allowed: Iterable[str] | None
) -> list[dict[str, Any]]:
    """Those of `controls` (as `to_dict` gives them) that are allowed, in their own order."""
    return [control for control in controls if control_allowed(control.get("id", ""), allowed)]


def validate_session_controls(value: Any, *, show_session_controls: bool, owner: str) -> None:
    """Check a config's list of control ids.

    Args:
        value: the list, or `None` for all.
        show_session_controls: whether the bar is shown at all.
        owner: the config's class, for the error.

    Raises:
        ValueError: it is no list of non-empty strings, or it is given although the bar is hidden.
    """
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f"{owner}: session_controls must be None or a list of control ids, not {value!r}")
    if not show_session_controls:
        raise ValueError(f"{owner}: session_controls has no effect without show_session_controls=True")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
