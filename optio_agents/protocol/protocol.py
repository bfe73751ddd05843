"""What a session and its agent have agreed upon: features, the parser for them, and the words that explain
them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optio_agents.protocol.events import LogEvent
from optio_agents.protocol.features import BrowserMode, ProtocolFeatures
from optio_agents.protocol.parser import line_parser
from optio_agents.protocol.prompt import build_log_channel_prompt

__all__ = ["BrowserMode", "Protocol", "get_protocol"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One agreement. Make it with `get_protocol`, which keeps its parts in step.

    Attributes:
        documentation: for the agent's instructions.
        parse_log_line: reads one line under these features.
        features: what is enabled.
    """

    documentation: str
    parse_log_line: Callable[[str], LogEvent]
    features: ProtocolFeatures

    @property
    def browser(self) -> BrowserMode:
        """What becomes of an attempt to open a browser."""
        return self.features.browser

    async def prepare_browser_shims(self, host: Any) -> dict[str, str] | None:
        """Install this protocol's browser launchers on `host`; see `optio_agents.protocol.browser_shims`.

        Returns:
            The environment in which to launch the agent, or `None` for `browser="ignore"`.
        """
        from optio_agents.protocol.browser_shims import prepare_browser_shims

        return await prepare_browser_shims(host, self.browser)


def get_protocol(
    *, browser: BrowserMode = "ignore", client_messages: bool = False, caller_messages: bool = False
) -> Protocol:
    """Agree on a protocol.

    Args:
        browser: `ignore` leaves browsers alone, `suppress` makes each attempt to open one fail, `redirect`
            turns it into a `BROWSER:` line.
        client_messages: enable `CLIENT_MESSAGE:`, for the user interface.
        caller_messages: enable `CALLER_MESSAGE:`, for the program that starts the session.

    Raises:
        ValueError: `browser` is none of the three modes.
    """
    features = ProtocolFeatures(browser, client_messages, caller_messages)
    return Protocol(build_log_channel_prompt(features), line_parser(features), features)
