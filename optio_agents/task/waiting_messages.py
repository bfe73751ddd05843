"""Messages that wait for an agent, as a blob of its process: the agent cannot reach them, and a resumed run finds them.

The newest blob counts; older ones go only when it is complete.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from optio_agents.task.saved import blobs_of, remove_blobs

BLOB = "agent-messages"
"""The blob's name."""

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of messages that are kept; the last ones beyond that are not."""


async def store(ctx: Any, messages: Sequence[str]) -> None:
    """Keep these messages, in order, and no others."""
    kept = None
    if messages:
        async with ctx.store_blob(BLOB) as blob:
            await blob.write(json.dumps(_within_limit(messages)).encode())
        kept = blob.file_id
    await remove_blobs(ctx, BLOB, but=kept)


async def load(ctx: Any) -> list[str]:
    """The messages that were kept, in order."""
    newest = next(iter(await blobs_of(ctx, BLOB)), None)
    if newest is None:
        return []
    async with ctx.load_blob(newest) as blob:
        messages = json.loads(await blob.read())
    return [text for text in messages if isinstance(text, str)]


def _within_limit(messages: Sequence[str]) -> list[str]:
    kept, size = [], 0
    for text in messages:
        size += len(text.encode("utf-8", "replace"))
        if size > SIZE_LIMIT:
            break
        kept.append(text)
    return kept
