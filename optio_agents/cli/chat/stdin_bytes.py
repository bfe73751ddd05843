"""Reading our own standard input without a thread where that is possible."""

from __future__ import annotations

import os
import select

import trio

READ_SIZE = 64 * 1024


async def read_some(descriptor: int) -> bytes:
    """Wait for input on `descriptor` and read it; `b""` at its end.

    Terminals, pipes and sockets are waited for. That is not possible for a regular file: it is read in a thread.
    """
    while True:
        try:
            await trio.lowlevel.wait_readable(descriptor)
        except OSError:
            return await trio.to_thread.run_sync(os.read, descriptor, READ_SIZE, abandon_on_cancel=True)
        # The input may have been discarded since (a question flushes it): a read would block.
        if select.select([descriptor], [], [], 0)[0]:
            break
    try:
        return os.read(descriptor, READ_SIZE)
    except OSError:
        # A terminal that was hung up.
        return b""
