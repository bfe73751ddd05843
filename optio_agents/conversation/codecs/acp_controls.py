"""The controls of an agent of the Agent Client Protocol, and how they are set. Sans-IO.

An agent lists them when it opens a session: as `configOptions` (the protocol's way; opencode), or as `modes` and
`models` (the older way; gemini, claude-code-acp). The category of an option says which of our controls it is; an option
without one keeps the agent's id. Measured with gemini 0.61.0 and opencode 1.18.33: opencode refuses values that it does
not know, gemini takes any model. gemini also answers a new mode with a piece of a message, which begins with
`[MODE_UPDATE]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from optio_agents.conversation.codecs.base import ControlsListed
from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.controls import (
    EFFORT,
    MODEL,
    NAME_LIMIT,
    PERMISSION_MODE,
    listed_model_control,
    listed_option,
    permission_mode_control,
    shown,
)
from optio_agents.session_controls import ControlOption, SessionControl

CATEGORIES = {"model": MODEL, "thought_level": EFFORT, "mode": PERMISSION_MODE}
"""Which of our controls a configuration option of a category is: the first one of it."""

MODE_ECHO = "[MODE_UPDATE]"
"""How gemini's message about a new mode begins."""

Source = Literal["option", "mode", "model"]

REQUESTS: dict[Source, tuple[str, str]] = {
    "option": ("session/set_config_option", "value"),
    "mode": ("session/set_mode", "modeId"),
    "model": ("session/set_model", "modelId"),
}
"""The request that sets a control of each source, and the name of the value in it."""


@dataclass(frozen=True, slots=True)
class AcpControl:
    """One control: where it comes from, and its id there."""

    control: SessionControl
    source: Source
    key: str = ""


class AcpControls:
    """The controls of a session as the agent has told them last."""

    def __init__(self) -> None:
        self._options: list[dict[str, Any]] = []
        self._modes: dict[str, Any] = {}
        self._models: dict[str, Any] = {}

    def note_session(self, result: object) -> None:
        """The response to `session/new` or `session/load`."""
        fields = result if isinstance(result, dict) else {}
        self.note_options(fields)
        for name in ("modes", "models"):
            told = fields.get(name)
            setattr(self, f"_{name}", told if isinstance(told, dict) else {})

    def note_options(self, fields: dict[str, Any]) -> None:
        """All options again: in `config_option_update`, and in the answer to a change of one."""
        if isinstance(fields.get("configOptions"), list):
            self._options = dicts_of(fields["configOptions"])

    def note_update(self, update: dict[str, Any]) -> ControlsListed | None:
        """A notification, if it is about controls."""
        kind = update.get("sessionUpdate")
        if kind == "config_option_update":
            self.note_options(update)
        elif kind == "current_mode_update":
            self._modes = {**self._modes, "currentModeId": update.get("currentModeId")}
        else:
            return None
        return self.listed()

    def note_set(self, source: Source, value: object, result: object) -> None:
        """The agent has taken a value."""
        if source == "option":
            self.note_options(result if isinstance(result, dict) else {})
        elif source == "mode":
            self._modes = {**self._modes, "currentModeId": value}
        else:
            self._models = {**self._models, "currentModelId": value}

    def listed(self) -> ControlsListed:
        """The controls, as they are now."""
        return ControlsListed(tuple(each.control for each in self._controls()))

    def request(self, control_id: str, value: str | bool) -> tuple[Source, str, dict[str, Any]]:
        """The request that sets a control that was listed: its source, its method, its parameters."""
        found = next(each for each in self._controls() if each.control.id == control_id)
        method, name = REQUESTS[found.source]
        parameters: dict[str, Any] = {name: value}
        if found.source == "option":
            parameters["configId"] = found.key
            if isinstance(value, bool):
                parameters["type"] = "boolean"
        return found.source, method, parameters

    def _controls(self) -> list[AcpControl]:
        taken: set[str] = set()
        controls = []
        for option in self._options:
            key = text_of(option.get("id"))
            name = CATEGORIES.get(text_of(option.get("category")), key)
            name = key if name in taken else name
            if 0 < len(key) <= NAME_LIMIT and name not in taken:
                taken.add(name)
                controls.append(AcpControl(_option_control(name, option), "option", key))
        models = dicts_of(self._models.get("availableModels"))
        if MODEL not in taken and models:
            current = shown(self._models.get("currentModelId")) or ""
            control = listed_model_control(models, current, value="modelId", label="name")
            controls.append(AcpControl(control, "model"))
        if PERMISSION_MODE not in taken and dicts_of(self._modes.get("availableModes")):
            controls.append(AcpControl(_mode_control(self._modes), "mode"))
        return controls


def _option_control(name: str, option: dict[str, Any]) -> SessionControl:
    value = option.get("currentValue")
    is_switch = option.get("type") == "boolean" or isinstance(value, bool)
    return SessionControl(
        id=name,
        kind="boolean" if is_switch else "select",
        label=shown(option.get("name")) or name,
        value=value if isinstance(value, bool) else shown(value) or "",
        category=shown(option.get("category")),
        description=shown(option.get("description")),
        options=None if is_switch else _choices(option.get("options")),
        inline_descriptions=not is_switch,
    )


def _choices(options: object) -> list[ControlOption]:
    """The values of an option; they may be listed in groups."""
    choices: list[ControlOption] = []
    for each in dicts_of(options):
        members = dicts_of(each["options"]) if "options" in each else [each]
        group = shown(each.get("name")) or shown(each.get("group")) if "options" in each else None
        for member in members:
            choices += listed_option(
                member.get("value"), member.get("name"), member.get("description"), group
            )
    return choices


def _mode_control(modes: dict[str, Any]) -> SessionControl:
    options = [
        option
        for mode in dicts_of(modes.get("availableModes"))
        for option in listed_option(mode.get("id"), mode.get("name"), mode.get("description"))
    ]
    return permission_mode_control(options, shown(modes.get("currentModeId")))
