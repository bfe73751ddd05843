"""The MCP server that an agent starts: what it says to its stdio, to a Unix socket, and back. A program, stdlib only.

`python -I -S stdio_relay.py SOCKET`. It ends when either side does.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

SIZE = 64 * 1024


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`."""
    while data:
        data = data[os.write(descriptor, data) :]


def to_agent(connection: socket.socket) -> None:
    """Copy what the server says, until it ends; then the agent sees the end of our output."""
    try:
        while data := connection.recv(SIZE):
            write_all(sys.stdout.fileno(), data)
    finally:
        os._exit(0)  # The other thread waits for the agent, which may say nothing more.


def main(path: str) -> None:
    """Relay until the agent or the server ends."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    threading.Thread(target=to_agent, args=(connection,), daemon=True).start()
    while data := os.read(sys.stdin.fileno(), SIZE):
        connection.sendall(data)


if __name__ == "__main__":
    main(sys.argv[1])
