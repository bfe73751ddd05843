"""What a probe found, in a list of models."""

from __future__ import annotations

from optio_agents.model_probe import apply_probe, disabled_map


def test_models_are_marked_and_others_left_alone() -> None:
    models: list[dict[str, object]] = [
        {"id": "a", "label": "A"},
        {"id": "b", "disabled": True, "disabledReason": "earlier"},
        {"id": "c", "disabled": True, "disabledReason": "earlier"},
        {"label": "without an id"},
    ]
    assert apply_probe(models, {"a": False, "b": True}, reason="no access") == [
        {"id": "a", "label": "A", "disabled": True, "disabledReason": "no access"},
        {"id": "b", "disabled": False},
        models[2],
        models[3],
    ]
    assert models[0] == {"id": "a", "label": "A"}
    assert disabled_map({"a": False, "b": True}, "no access") == {"a": "no access"}
