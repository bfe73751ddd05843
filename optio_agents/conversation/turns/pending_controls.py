"""The controls of a conversation as they are now, and the changes that the backend has not answered."""

from __future__ import annotations

from optio_agents.conversation.codecs.base import Codec, ControlAnswered, ControlsListed, Signal
from optio_agents.conversation.controls import ControlEnd, find_control, reason_against
from optio_agents.conversation.turns.effects import ControlSettled, ControlsKnown, Effect
from optio_agents.conversation.values import Event
from optio_agents.session_controls import SessionControl

CONTROL_EVENT = "x-optio-control-update"
"""Published with each change of the controls, once they were asked for."""


class PendingControls:
    """Changed by the turn rules only. Nothing is asked of the backend before the controls are asked for."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.known: tuple[SessionControl, ...] = ()
        """The last that was told of them."""
        self._is_asked = False
        self._is_complete = False
        self._changes: set[int] = set()

    def list_all(self) -> list[Effect]:
        """Tell the controls as soon as the backend has listed them all."""
        if self._is_complete:
            return [ControlsKnown(self.known)]
        if self._is_asked:
            return []
        self._is_asked = True
        return self._apply(self._codec.list_controls())

    def set(self, change: int, control_id: str, value: str | bool) -> list[Effect]:
        """Set a control that was listed."""
        control = find_control(self.known, control_id)
        if control is None:
            return [ControlSettled(change, ControlEnd(is_known=False))]
        reason = reason_against(control, value)
        if reason is not None:
            return [ControlSettled(change, ControlEnd(is_known=True, reason=reason))]
        self._changes.add(change)
        return self._apply(self._codec.set_control(change, control_id, value))

    def listed(self, signal: ControlsListed) -> list[Effect]:
        """The backend lists its controls. A change without a request of ours causes no event for a request."""
        changed = signal.controls != self.known
        self.known = signal.controls
        out: list[Effect] = []
        if not self._is_asked:
            return out
        if changed and self._is_complete:
            told = [control.to_dict() for control in self.known]
            out.append(Event({"type": CONTROL_EVENT, "controls": told}))
        if signal.complete and not self._is_complete:
            self._is_complete = True
            out.append(ControlsKnown(self.known))
        return out

    def answered(self, signal: ControlAnswered) -> list[Effect]:
        """The backend has taken a value, or refused it."""
        if signal.change not in self._changes:
            return []
        self._changes.remove(signal.change)
        return [ControlSettled(signal.change, ControlEnd(is_known=True, reason=signal.reason))]

    def lose(self) -> list[Effect]:
        """The backend will not answer any more."""
        out: list[Effect] = [ControlSettled(change, None) for change in sorted(self._changes)]
        self._changes.clear()
        if self._is_asked and not self._is_complete:
            out.append(ControlsKnown(None))
        return out

    def _apply(self, signals: list[Signal]) -> list[Effect]:
        out: list[Effect] = []
        for signal in signals:
            if isinstance(signal, ControlsListed):
                out += self.listed(signal)
            elif isinstance(signal, ControlAnswered):
                out += self.answered(signal)
        return out
