"""The controls of Codex, and how they are set: by parameters of the next `turn/start`. Sans-IO.

Measured with 0.169.0: `model/list` lists the models with their levels of effort, the response to `thread/start` tells
what applies. `model`, `effort` and `approvalPolicy` of a `turn/start` hold for that turn and all later ones. It takes
any model and any effort; a wrong one fails the turn. (`thread/settings/update` needs the experimental interface.)
"""

from __future__ import annotations

from typing import Any

from optio_agents.conversation.codecs.base import ControlsListed
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

PARAMETERS = {MODEL: "model", EFFORT: "effort", PERMISSION_MODE: "approvalPolicy"}
"""The parameter of `turn/start` that sets each control."""

APPROVAL_POLICIES = (
    ControlOption("untrusted", "Untrusted", "Asks before each command that is not known to be safe"),
    ControlOption("on-request", "On request", "Asks when it wants to leave its sandbox"),
    ControlOption("never", "Never", "Never asks: what its sandbox allows is done", variant="danger"),
)


class CodexControls:
    """What the agent has told of its controls, and what the next turns are to begin with."""

    def __init__(self) -> None:
        self._models: list[dict[str, Any]] = []
        self._values: dict[str, str] = {}
        self.parameters: dict[str, str] = {}
        """Of each `turn/start`: what was set."""

    def note_thread(self, result: object) -> None:
        """The response to `thread/start` or `thread/resume`."""
        fields = result if isinstance(result, dict) else {}
        self._values = {
            MODEL: text_of(fields.get("model")),
            EFFORT: text_of(fields.get("reasoningEffort")),
            PERMISSION_MODE: text_of(fields.get("approvalPolicy")),
        }

    def note_models(self, result: object) -> None:
        """The response to `model/list`."""
        data = result.get("data") if isinstance(result, dict) else None
        self._models = [each for each in dicts_of(data) if text_of(each.get("id")) and not each.get("hidden")]

    def set(self, control: str, value: str) -> None:
        """From the next turn on. A model that lacks the present effort gets its own default."""
        self._set(control, value)
        known = self._known(value) if control == MODEL else {}
        if known and self._values[EFFORT] not in ("", *_levels(known)):
            self._set(EFFORT, text_of(known.get("defaultReasoningEffort")) or _levels(known)[0])

    def _set(self, control: str, value: str) -> None:
        self._values[control] = self.parameters[PARAMETERS[control]] = value

    def listed(self) -> ControlsListed:
        """The controls, as they are now."""
        model, known = self._values.get(MODEL, ""), self._known(self._values.get(MODEL, ""))
        levels = _levels(known) if known else _all_levels(self._models)
        effort = self._values.get(EFFORT) or text_of(known.get("defaultReasoningEffort"))
        controls = (
            listed_model_control(self._models, model, value="id", label="displayName"),
            listed_effort_control(levels, effort),
            permission_mode_control(APPROVAL_POLICIES, self._values.get(PERMISSION_MODE)),
        )
        return ControlsListed(controls)

    def _known(self, model: str) -> dict[str, Any]:
        return next((each for each in self._models if model in (each["id"], each.get("model"))), {})


def _levels(model: dict[str, Any]) -> list[str]:
    efforts = dicts_of(model.get("supportedReasoningEfforts"))
    return [text_of(each.get("reasoningEffort")) for each in efforts if text_of(each.get("reasoningEffort"))]


def _all_levels(models: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(level for model in models for level in _levels(model)))
