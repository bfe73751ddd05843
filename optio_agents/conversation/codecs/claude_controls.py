"""The controls of Claude Code, and how they are set while it runs. Sans-IO.

Measured with 2.1.330: the response to `initialize` lists the models with their levels of effort, and `get_settings`
tells which model and level apply. Controls can be set at any time, also within a turn. `set_model` takes any name (its
response tells the model's own), a wrong one fails the next turn. `apply_flag_settings` ignores a level of effort that
it does not know, and says nothing. `set_permission_mode` refuses what it does not know, and `bypassPermissions`
unless it was started with `--dangerously-skip-permissions`. `system/init` tells model and mode with each turn,
`system/status` a new mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from optio_agents.conversation.codecs.base import ControlAnswered, ControlsListed, Signal
from optio_agents.conversation.codecs.forms import dicts_of, text_of
from optio_agents.conversation.controls import (
    EFFORT,
    MODEL,
    PERMISSION_MODE,
    listed_effort_control,
    listed_model_control,
    permission_mode_control,
)
from optio_agents.session_controls import ControlOption

REQUESTS: dict[str, Callable[[str], dict[str, Any]]] = {
    MODEL: lambda value: {"subtype": "set_model", "model": value},
    EFFORT: lambda value: {"subtype": "apply_flag_settings", "settings": {"effortLevel": value}},
    PERMISSION_MODE: lambda value: {"subtype": "set_permission_mode", "mode": value},
}
"""The control request that sets each control."""

PERMISSION_MODES = (
    ControlOption("default", "Default", "Asks before each action that may change something"),
    ControlOption("acceptEdits", "Accept edits", "Edits files without asking"),
    ControlOption("plan", "Plan", "Reads only, and proposes a plan"),
    ControlOption("auto", "Auto", "Decides by itself what is safe"),
    ControlOption("dontAsk", "Don't ask", "Refuses whatever is not allowed already"),
    ControlOption(
        "bypassPermissions", "Bypass permissions", "Does everything without asking", variant="danger"
    ),
)

GET_SETTINGS = {"subtype": "get_settings"}


class ClaudeChange(NamedTuple):
    """A control request that was not answered."""

    change: int
    control: str
    value: str


class ClaudeControls:
    """What the agent has told of its controls, and the changes that it has not answered."""

    def __init__(self) -> None:
        self._models: list[dict[str, Any]] = []
        self._model = self._effort = self._mode = ""
        self._changes: dict[str, ClaudeChange] = {}
        self._listing = ""

    def note_initialized(self, response: object) -> None:
        """The response to `initialize`."""
        if isinstance(response, dict):
            self._models = [each for each in dicts_of(response.get("models")) if text_of(each.get("value"))]
            self._mode = text_of(response.get("current_permission_mode"))

    def note_listing(self, request: str) -> None:
        """`get_settings` was written as this request."""
        self._listing = request

    def note_change(self, request: str, change: int, control: str, value: str) -> None:
        """A change was written as this request."""
        self._changes[request] = ClaudeChange(change, control, value)

    def note_turn(self, record: dict[str, Any]) -> list[Signal]:
        """`system/init` or `system/status`: the mode, and for the former the model, that apply now."""
        model, mode = text_of(record.get("model")), text_of(record.get("permissionMode"))
        changed = False
        if mode and mode != self._mode:
            self._mode, changed = mode, True
        if model and model not in (self._model, self._known(self._model).get("resolvedModel")):
            self._model, changed = model, True
        return [self._listed(complete=False)] if changed else []

    def answered(self, request: str, response: dict[str, Any]) -> list[Signal]:
        """The answer to one of the requests above; nothing if it is none of them."""
        fields = response.get("response")
        fields = fields if isinstance(fields, dict) else {}
        if request and request == self._listing:
            applied = fields.get("applied")
            if isinstance(applied, dict):
                self._model = text_of(applied.get("model"))
                self._effort = text_of(applied.get("effort"))
            return [self._listed(complete=True)]
        change = self._changes.pop(request, None)
        if change is None:
            return []
        if response.get("subtype") != "success":
            return [ControlAnswered(change.change, text_of(response.get("error")) or "the agent refuses it")]
        if change.control == MODEL:
            self._model = change.value
        elif change.control == EFFORT:
            self._effort = change.value
        else:
            self._mode = change.value
        return [self._listed(complete=False), ControlAnswered(change.change, None)]

    def _listed(self, *, complete: bool) -> ControlsListed:
        known = self._known(self._model)
        model = text_of(known.get("value")) or self._model
        levels = _levels(known) if known else _all_levels(self._models)
        controls = (
            listed_model_control(self._models, model, value="value", label="displayName"),
            listed_effort_control(levels, self._effort),
            permission_mode_control(PERMISSION_MODES, self._mode),
        )
        return ControlsListed(controls, complete)

    def _known(self, model: str) -> dict[str, Any]:
        """What was listed of a model, by the name that chooses it or by its own."""
        for name in ("value", "resolvedModel"):
            for each in self._models:
                if each.get(name) == model:
                    return each
        return {}


def _levels(model: dict[str, Any]) -> list[str]:
    levels = model.get("supportedEffortLevels")
    return [each for each in levels if isinstance(each, str)] if isinstance(levels, list) else []


def _all_levels(models: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(level for model in models for level in _levels(model)))
