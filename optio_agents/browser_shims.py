"""The published import path of `optio_agents.protocol.browser_shims`."""

from optio_agents.protocol.browser_shims import prepare_browser_shims
from optio_agents.protocol.features import BrowserMode

__all__ = ["BrowserMode", "prepare_browser_shims"]
