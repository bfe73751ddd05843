"""Which optional parts of the protocol a session speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

BrowserMode = Literal["ignore", "suppress", "redirect"]
"""The effect of an agent's attempt to open a browser: none of ours, suppressed, or a `BROWSER:` line."""


@dataclass(frozen=True, slots=True)
class ProtocolFeatures:
    """The switches of the protocol; the defaults are the plain log channel.

    Raises:
        ValueError: `browser` is not one of the three modes.
    """

    browser: BrowserMode = "ignore"
    client_messages: bool = False
    caller_messages: bool = False

    def __post_init__(self) -> None:
        if self.browser not in get_args(BrowserMode):
            modes = ", ".join(get_args(BrowserMode))
            raise ValueError(f"browser must be one of {modes}, not {self.browser!r}")


DEFAULT_FEATURES = ProtocolFeatures()
"""No browser, no messages: the defaults of a session."""

ALL_FEATURES = ProtocolFeatures(browser="redirect", client_messages=True, caller_messages=True)
"""Every keyword enabled."""
