"""What an agent does with a message that comes while it works."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.steering import BUSY_SEND_VALUES, NATIVE_QUEUE, BusySendDeclaration, resolve_busy_send


def test_the_values_and_their_order() -> None:
    assert BUSY_SEND_VALUES == ("joins-next-step", "queues-to-end", "cuts-in", "rejected", "unsafe")
    assert frozenset(BUSY_SEND_VALUES[:2]) == NATIVE_QUEUE


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (None, "rejected"),
        ("other", "rejected"),
        ("opus", "cuts-in"),
        ("opus[1m]", "cuts-in"),
        ("sonnet[1m]", "unsafe"),
        ("sonnet", "rejected"),
        ("opus[", "rejected"),
    ],
)
def test_a_model_may_differ_from_its_agent(model: str | None, value: str) -> None:
    declaration = BusySendDeclaration("rejected", {"opus": "cuts-in", "sonnet[1m]": "unsafe"})
    assert declaration.for_model(model) == value
    assert resolve_busy_send(declaration, model) == value


def test_without_a_declaration_the_worst_is_expected() -> None:
    assert resolve_busy_send(None, "opus") == "unsafe"


@pytest.mark.parametrize("arguments", [("sometimes",), ("unsafe", {"opus": "sometimes"})])
def test_an_unknown_value_is_refused(arguments: Any) -> None:
    with pytest.raises(ValueError, match="'sometimes' is none of joins-next-step"):
        BusySendDeclaration(*arguments)
