"""A conversation with a listener of its own, for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from optio_agents.web.access import Access
from optio_agents.web.app import create_app
from optio_agents.web.downloads import Downloads
from optio_agents.web.feed import ConversationFeed
from optio_agents.web.server import listening

FAREWELL_SECONDS: Final = 1.0
"""For viewers to take the last events when the block ends."""


@dataclass(frozen=True, slots=True)
class WebView:
    """A conversation that can be seen.

    Attributes:
        url: where the routes are.
        feed: its events; `feed.note` adds one of ours.
        access: the secret.
    """

    url: str
    feed: ConversationFeed
    access: Access

    @property
    def page(self) -> str:
        """The address of the page, with its token."""
        return f"{self.url}/?token={self.access.secret}"


@asynccontextmanager
async def web_view(
    feed: ConversationFeed,
    *,
    directory: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[WebView]:
    """Serve the page and the routes of a conversation while the block runs, then give its viewers the last events.

    Args:
        feed: the conversation's; the conversation may end before the block does.
        directory: the agent's directory, whose files may be downloaded; `None`: none.
        host: the address to listen on; the default is this machine only.
        port: the port; 0 takes a free one.

    Raises:
        OSError: the address cannot be used.
    """
    access = Access()
    downloads = None if directory is None else Downloads(directory)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run)
        try:
            async with listening(create_app(feed, access, downloads), host=host, port=port) as listener:
                try:
                    yield WebView(listener.url, feed, access)
                finally:
                    feed.end()
                    with trio.move_on_after(FAREWELL_SECONDS, shield=True):
                        await feed.without_viewers()
        except Exception as error:  # noqa: BLE001 - raised again below, outside of the nursery
            failure = error
        nursery.cancel_scope.cancel(reason="the view's block has ended")
    if failure is not None:
        raise failure
