from __future__ import annotations

import pytest

from optio_agents.session_controls import (
    SINGLE_OPTION_REASON,
    ControlOption,
    SessionControl,
    control_allowed,
    effort_control,
    filter_controls,
    model_control,
    validate_session_controls,
)


def test_an_option_shows_what_is_given() -> None:
    assert ControlOption("a", "A").to_dict() == {"value": "a", "label": "A", "disabled": False}
    full = ControlOption("a", "A", "d", True, "w", "danger", "sure?", "g")
    assert full.to_dict() == {
        "value": "a",
        "label": "A",
        "disabled": True,
        "description": "d",
        "whyDisabled": "w",
        "variant": "danger",
        "confirm": "sure?",
        "group": "g",
    }


def test_a_control_shows_what_is_given() -> None:
    assert SessionControl("x", "boolean", "X", False).to_dict() == {
        "id": "x",
        "kind": "boolean",
        "label": "X",
        "value": False,
        "disabled": False,
    }


def test_the_model_s_selector() -> None:
    shown = model_control(
        models=[
            {"id": "a"},
            {"id": "b", "label": "B", "disabled": True, "disabledReason": "no", "group": "g"},
        ],
        current="a",
    ).to_dict()
    assert (shown["id"], shown["kind"], shown["category"], shown["value"]) == (
        "model",
        "select",
        "model",
        "a",
    )
    assert shown["inlineDescriptions"] is True
    assert shown["disabled"] is False
    assert shown["options"] == [
        {"value": "a", "label": "a", "disabled": False},
        {"value": "b", "label": "B", "disabled": True, "whyDisabled": "no", "group": "g"},
    ]


@pytest.mark.parametrize("models", [[], [{"id": "a"}]])
def test_without_a_choice_it_is_disabled_and_says_why(models: list[dict[str, str]]) -> None:
    shown = model_control(models=models, current=None)
    assert shown.disabled
    assert shown.why_disabled == SINGLE_OPTION_REASON
    assert shown.value == ""


@pytest.mark.parametrize(
    ("levels", "current", "value"), [(["a", "b"], "b", "b"), (["a"], None, "a"), ([], None, "")]
)
def test_the_effort_s_slider(levels: list[str], current: str | None, value: str) -> None:
    shown = effort_control(levels=levels, current=current).to_dict()
    assert (shown["id"], shown["kind"], shown["category"]) == ("reasoning_effort", "slider", "thought_level")
    assert (shown["levels"], shown["value"]) == (levels, value)
    assert shown["description"].endswith("?")


def test_which_controls_are_allowed() -> None:
    controls = [{"id": "a"}, {"id": "b"}, {}]
    assert filter_controls(controls, ["b", "a"]) == [{"id": "a"}, {"id": "b"}]
    assert filter_controls(controls, None) == controls
    assert not control_allowed("mod", "model")
    assert control_allowed("model", "model")
    assert not control_allowed("model", [])


@pytest.mark.parametrize("value", ["model", [1], [""], ("a",)])
def test_a_list_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Owner: session_controls"):
        validate_session_controls(value, show_session_controls=True, owner="Owner")


def test_a_list_for_a_hidden_bar_is_refused() -> None:
    validate_session_controls(None, show_session_controls=False, owner="Owner")
    with pytest.raises(ValueError, match=r"Owner: session_controls.*show_session_controls"):
        validate_session_controls([], show_session_controls=False, owner="Owner")
