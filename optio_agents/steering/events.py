"""The transcript's events about messages that wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

QUEUED_EVENT = "x-optio-queued"
TAKEN_EVENT = "x-optio-taken"
INTERRUPT_EVENT = "x-optio-interrupt"
REQUEUED_EVENT = "x-optio-requeued"

Event = dict[str, Any]


def queued(message_id: str, text: str, *, waiting: bool) -> Event:
    """A message was accepted; `waiting`: the agent gets it later."""
    event: Event = {"type": QUEUED_EVENT, "id": message_id, "text": text}
    return {**event, "waiting": True} if waiting else event


def taken(ids: Iterable[str]) -> Event:
    """These messages are being sent to the agent."""
    return {"type": TAKEN_EVENT, "ids": list(ids)}


def interrupted() -> Event:
    """The user interrupts the running turn."""
    return {"type": INTERRUPT_EVENT, "by": "user"}


def requeued(old_id: str, new_id: str) -> Event:
    """A message waits again, under another id."""
    return {"type": REQUEUED_EVENT, "id": old_id, "new_id": new_id}
