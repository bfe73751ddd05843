"""What an agent does with a message that arrives while it works."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

BusySend: TypeAlias = Literal["joins-next-step", "queues-to-end", "cuts-in", "rejected", "unsafe"]
"""
| value | the agent |
|---|---|
| joins-next-step | handles it at its next step |
| queues-to-end | handles it when its turn has ended |
| cuts-in | ends its turn and handles it |
| rejected | refuses it |
| unsafe | may do anything: nothing is sent while it works |
"""

BUSY_SEND_VALUES: tuple[BusySend, ...] = get_args(BusySend)
NATIVE_QUEUE: frozenset[BusySend] = frozenset({"joins-next-step", "queues-to-end"})
"""Agents that have a queue of their own: a message can be written while they work."""

_VARIANT = re.compile(r"\[[^\[\]]*\]$")


@dataclass(frozen=True)
class BusySendDeclaration:
    """An agent's `BusySend`, and the values of models that differ from it.

    Raises:
        ValueError: an unknown value.
    """

    agent: BusySend
    models: Mapping[str, BusySend] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown values where they are declared."""
        for value in (self.agent, *self.models.values()):
            if value not in BUSY_SEND_VALUES:
                raise ValueError(f"{value!r} is none of {', '.join(BUSY_SEND_VALUES)}")

    def for_model(self, model: str | None) -> BusySend:
        """The model's own value (a trailing `[variant]` of its name is ignored), else the agent's."""
        if model is None:
            return self.agent
        return self.models.get(model) or self.models.get(_VARIANT.sub("", model)) or self.agent


def resolve_busy_send(declaration: BusySendDeclaration | None, model: str | None) -> BusySend:
    """The value for `model`; without a declaration, the worst one: `unsafe`."""
    return "unsafe" if declaration is None else declaration.for_model(model)
