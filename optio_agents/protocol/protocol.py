"""The protocol between a session and its agent: features, their parser and their documentation."""

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
    """One version of the protocol. Make it with `get_protocol`, which keeps the parts consistent.

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
        """The effect of an attempt to open a browser."""
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
    """Make a protocol.

    Args:
        browser: `ignore` does not interfere with browsers, `suppress` turns each attempt to open one into a no-op,
            `redirect` turns it into a `BROWSER:` line.
        client_messages: enable `CLIENT_MESSAGE:`, for the user interface.
        caller_messages: enable `CALLER_MESSAGE:`, for the program that starts the session.

    Raises:
        ValueError: `browser` is not one of the three modes.
    """
    features = ProtocolFeatures(browser, client_messages, caller_messages)
    return Protocol(build_log_channel_prompt(features), line_parser(features), features)
