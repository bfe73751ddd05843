from __future__ import annotations

from typing import Any

import pytest

from optio_agents.custom_controls import (
    ControlSettings,
    CustomControl,
    CustomControlsConfigMixin,
    CustomOption,
)


def option(value: str, **settings: str) -> CustomOption:
    return CustomOption(value, {"en": value}, ControlSettings(**(settings or {"model": "m"})))


def control(name: str = "careful", *options: CustomOption, default: str = "a") -> CustomControl:
    return CustomControl(name, {"en": "How careful?"}, default, list(options or (option("a"), option("b"))))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, "at least one"),
        ({"model": ""}, "model=''"),
        ({"model": 3}, "model=3"),
        ({"reasoning_effort": "x"}, r"reasoning_effort='x'.*'low', 'medium', 'high', 'xhigh', 'max'"),
        ({"permission_mode": "manual"}, r"permission_mode='manual'.*'default'"),
    ],
)
def test_settings_that_no_agent_has_are_refused(settings: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        ControlSettings(**settings)


def test_only_given_settings_are_set() -> None:
    assert ControlSettings("m", "low").to_dict() == {"model": "m", "reasoning_effort": "low"}


@pytest.mark.parametrize("value", ["", "a b", "a\n", "ä", 3])
def test_an_id_has_letters_digits_and_two_signs(value: Any) -> None:
    with pytest.raises(ValueError, match=r"CustomOption\.value"):
        CustomOption(value, "L", ControlSettings("m"))
    with pytest.raises(ValueError, match=r"CustomControl\.id"):
        CustomControl(value, "L", "a", [option("a"), option("b")])


@pytest.mark.parametrize(
    ("default", "options", "error"),
    [
        ("a", [option("a")], "at least 2 options"),
        ("a", [option("a"), option("a")], "duplicate option value 'a'"),
        ("c", [option("a"), option("b")], "default='c'"),
        ("a", "ab", "options"),
        ("a", [option("a"), "b"], "CustomOption"),
    ],
)
def test_options_that_offer_no_choice_are_refused(default: str, options: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        CustomControl("c", None, default, options)


def test_a_control_has_a_hash_and_owns_its_list() -> None:
    options = [option("a"), option("b")]
    made = CustomControl("careful", {"en": "How careful?"}, "a", options)
    options.clear()
    assert len(made.options) == 2
    assert len({made, control()}) == 1


def test_a_list_that_was_changed_afterwards_is_refused_where_it_is_used() -> None:
    changed = control()
    changed.options.clear()
    with pytest.raises(ValueError, match="at least 2 options"):
        validate([changed])


def validate(controls: Any, *, supported: bool = True) -> None:
    CustomControlsConfigMixin(custom_controls=controls)._validate_custom_controls(
        supported=supported, agent="codex"
    )


@pytest.mark.parametrize("controls", [None, []])
def test_no_controls_are_fine_everywhere(controls: Any) -> None:
    validate(controls, supported=False)


@pytest.mark.parametrize(
    ("controls", "error"),
    [
        ("x", "list of CustomControl"),
        ([3], "CustomControl"),
        ([control("x"), control("x")], "duplicate control id 'x'"),
        ([control("x"), control("y")], "model .*'x'.*'y'"),
    ],
)
def test_unusable_lists_are_refused(controls: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        validate(controls)


def test_an_agent_that_cannot_apply_them_says_so() -> None:
    with pytest.raises(ValueError, match=r"^codex does not support custom_controls yet$"):
        validate([control()], supported=False)


def test_two_controls_may_set_different_things() -> None:
    effort = [option("a", reasoning_effort="low"), option("b", reasoning_effort="high")]
    validate([control("x"), control("y", *effort)])
