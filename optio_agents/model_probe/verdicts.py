"""What a probe found, in a list of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def apply_probe(
    models: Iterable[Mapping[str, Any]], usable: Mapping[str, bool], *, reason: str
) -> list[dict[str, Any]]:
    """The models, those that were probed marked: `disabled`, and `disabledReason` for the unusable ones.

    Models of which nothing was found out stay as they are.
    """
    marked = []
    for model in models:
        changed = dict(model)
        verdict = usable.get(changed.get("id", ""))
        if verdict is not None:
            changed.pop("disabledReason", None)
            changed["disabled"] = not verdict
            if not verdict:
                changed["disabledReason"] = reason
        marked.append(changed)
    return marked


def disabled_map(usable: Mapping[str, bool], reason: str) -> dict[str, str]:
    """The reason for each unusable model."""
    return {model: reason for model, verdict in usable.items() if not verdict}
