"""Selectors that a task's author designs: each option sets the agent's own settings.

For instance a control "How careful?" whose options "quick" and "thorough" choose a model and an effort each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from optio_agents.text import Text, check_text

KNOWN_REASONING_EFFORTS = ("low", "medium", "high", "xhigh", "max")

KNOWN_PERMISSION_MODES = ("default", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions")

SETTING_KEYS = ("model", "reasoning_effort", "permission_mode")
"""The agent's settings that an option can set."""

_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class ControlSettings:
    """The settings that an option stands for; `None` leaves a setting alone.

    Raises:
        ValueError: none is given, or one is unknown.
    """

    model: str | None = None
    reasoning_effort: str | None = None
    permission_mode: str | None = None

    def __post_init__(self) -> None:
        """Check each setting."""
        if not self.to_dict():
            raise ValueError(f"ControlSettings sets nothing: give at least one of {', '.join(SETTING_KEYS)}")
        if self.model is not None:
            _check_model(self.model)
        self._check("reasoning_effort", KNOWN_REASONING_EFFORTS)
        hint = "; write 'default' for it" if self.permission_mode == "manual" else ""
        self._check("permission_mode", KNOWN_PERMISSION_MODES, hint)

    def to_dict(self) -> dict[str, str]:
        """The settings that are given."""
        return {key: value for key in SETTING_KEYS if (value := getattr(self, key)) is not None}

    def _check(self, key: str, known: tuple[str, ...], hint: str = "") -> None:
        value = getattr(self, key)
        if value is not None and value not in known:
            raise ValueError(f"ControlSettings.{key}={value!r} is unknown, use one of {list(known)}{hint}")


@dataclass(frozen=True)
class CustomOption:
    """One option of a `CustomControl`.

    Attributes:
        value: its id, of letters, digits, `_` and `-`.
        label: what the user reads.
        settings: what choosing it sets.
        description: a line below it.

    Raises:
        ValueError: a field is unusable.
    """

    value: str
    label: Text = field(hash=False)  # a mapping has no hash
    settings: ControlSettings
    description: Text | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        """Check all fields."""
        _check_id(self.value, "CustomOption.value")
        what = f"CustomOption {self.value!r}"
        object.__setattr__(self, "label", check_text(self.label, what=f"{what}: label"))
        _check_type(self.settings, ControlSettings, f"{what}: settings")
        if self.description is not None:
            checked = check_text(self.description, what=f"{what}: description")
            object.__setattr__(self, "description", checked)


@dataclass(frozen=True)
class CustomControl:
    """A selector of the author's own.

    Attributes:
        id: of letters, digits, `_` and `-`.
        label: its name; `None` for none.
        default: the value of the option that is set at first.
        options: at least two. The control owns a copy of the list; where the control is used it is validated again.
        description: a line about it.

    Raises:
        ValueError: a field is unusable.
    """

    id: str
    label: Text | None = field(hash=False)
    default: str
    options: list[CustomOption] = field(hash=False)
    description: Text | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        """Check all fields, and own the list."""
        if isinstance(self.options, (list, tuple)):
            object.__setattr__(self, "options", list(self.options))
        self.check()

    def check(self) -> None:
        """Check all fields as they are now.

        Raises:
            ValueError: a field is unusable.
        """
        _check_id(self.id, "CustomControl.id")
        what = f"CustomControl {self.id!r}"
        for name in ("label", "description"):
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, check_text(text, what=f"{what}: {name}"))
        _check_type(self.options, list, f"{what}: options (a list of CustomOption)")
        for option in self.options:
            _check_type(option, CustomOption, f"{what}: each of the options")
        values = [option.value for option in self.options]
        if len(values) < 2:
            raise ValueError(f"{what} offers no choice: it needs at least 2 options, not {len(values)}")
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"{what}: duplicate option value {value!r}")
        if self.default not in values:
            raise ValueError(f"{what}: default={self.default!r} is not the value of an option: {values}")


@dataclass(frozen=True, kw_only=True)
class CustomControlsConfigMixin:
    """The custom controls of a task config."""

    custom_controls: list[CustomControl] | None = None

    def _validate_custom_controls(self, *, supported: bool, agent: str) -> None:
        """Check them.

        Args:
            supported: whether the agent package can apply them.
            agent: its name, for the error.

        Raises:
            ValueError: they are not supported, or unusable.
        """
        controls, name = self.custom_controls, f"{type(self).__name__}.custom_controls"
        if controls is None or controls == []:
            return
        if not supported:
            raise ValueError(f"{agent} does not support custom_controls yet")
        _check_type(controls, (list, tuple), f"{name} (a list of CustomControl)")
        ids: set[str] = set()
        owners: dict[str, str] = {}
        for control in controls:
            _check_type(control, CustomControl, f"{name}: each control")
            control.check()
            if control.id in ids:
                raise ValueError(f"{name}: duplicate control id {control.id!r}")
            ids.add(control.id)
            for key in sorted({key for option in control.options for key in option.settings.to_dict()}):
                owner = owners.setdefault(key, control.id)
                if owner != control.id:
                    raise ValueError(
                        f"{name}: {key} is set by {owner!r} and by {control.id!r}: one control per setting"
                    )


def _check_id(value: Any, what: str) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f"{what}={value!r} must consist of letters, digits, '_' and '-'")


def _check_model(value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"ControlSettings.model={value!r} must be a non-empty string")


def _check_type(value: Any, kind: type | tuple[type, ...], what: str) -> None:
    if not isinstance(value, kind):
        wanted = kind.__name__ if isinstance(kind, type) else kind[0].__name__
        raise ValueError(f"{what} must be a {wanted}, not {type(value).__name__}")
