"""The programs of docs/asyncio.md, as they stand there, under the servers and runners that they are for."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

DOCUMENT = (Path(__file__).parents[2] / "docs" / "asyncio.md").read_text()
PROGRAMS = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE))
HANG = 120.0
LOOK = 0.05
"""Seconds between two looks at what another program has got to."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, program in PROGRAMS.items():
        if name.endswith(".py"):
            (tmp_path / name).write_text(program)
    return tmp_path


@contextmanager
def running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server; at the end it is asked to end, and must do so."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield server
        server.send_signal(signal.SIGTERM)
        server.wait(HANG)
    except BaseException:
        print((folder / "server.log").read_text())
        raise
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def becomes(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < end
        time.sleep(LOOK)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int) -> dict[str, object]:
    """The answer of the server, which may be starting yet."""
    end = time.monotonic() + HANG
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/work", timeout=HANG) as answer:
                said: dict[str, object] = json.load(answer)
                return said
        except (ConnectionError, urllib.error.URLError):
            assert time.monotonic() < end
            time.sleep(LOOK)


def agents(folder: Path) -> set[int]:
    """The agents that run now."""
    found = set()
    for file in folder.glob("work-*/**/agent.pid"):
        try:
            pid = int(file.read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            continue
        found.add(pid)
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_uvicorn_with_two_workers(folder: Path) -> None:
    port = free_port()
    with running(folder, "uvicorn", "app:app", "--workers", "2", "--port", str(port)):
        ask(port)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: ask(port), range(16)))
        assert {answer["ending"] for answer in answers} == {"DONE"}
        becomes(lambda: len(agents(folder)) == 2)
        background = agents(folder)
    assert not any(alive(pid) for pid in background)
    assert not list(folder.glob("work-*"))


def test_uvicorn_that_reloads(folder: Path) -> None:
    port = free_port()
    with running(folder, "uvicorn", "app:app", "--reload", "--reload-include", "app.py", "--port", str(port)):
        before = ask(port)
        becomes(lambda: len(agents(folder)) == 1)
        (background,) = agents(folder)
        (folder / "app.py").write_text(PROGRAMS["app.py"] + "\n# changed\n")
        becomes(lambda: not alive(background))
        becomes(lambda: ask(port)["process"] != before["process"])
        becomes(lambda: len(agents(folder)) == 1)
    assert not list(folder.glob("work-*"))


def test_pytest_asyncio_and_anyio(folder: Path) -> None:
    options = ["-q", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:trio"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_work.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert ended.stdout.splitlines()[-1].startswith("5 passed"), ended.stdout
    assert not list(folder.glob("work-*"))


def test_celery_with_a_forking_pool(folder: Path) -> None:
    for name in ("queue", "results"):
        (folder / name).mkdir()
    (folder / "celery_settings.py").write_text(
        "broker_url = 'filesystem://'\n"
        "broker_transport_options = {'data_folder_in': 'queue', 'data_folder_out': 'queue'}\n"
        f"result_backend = 'file://{folder}/results'\n"
        "worker_prefetch_multiplier = 1\n"
    )
    send = (
        "from tasks import run\n"
        "results = [run.delay(0) for _ in range(6)]\n"
        f"print([each.get(timeout={HANG}) for each in results])\n"
    )
    with running(folder, "celery", "-A", "tasks", "worker", "--pool", "prefork", "-c", "2", "-l", "info"):
        sent = subprocess.run(
            [sys.executable, "-c", send],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )
    assert sent.stdout == f"{['DONE'] * 6}\n", sent.stderr
    assert not list(folder.glob("work-*"))


def test_jupyter(folder: Path) -> None:
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder))
    try:
        assert cell(client, "from work import work\n" + PROGRAMS["cell"]) == "'DONE'"
        assert cell(client, "import asyncio\nawait asyncio.gather(work(), work())") == "['DONE', 'DONE']"
        client.execute("await work(3600)")
        becomes(lambda: len(agents(folder)) == 1)
        (agent,) = agents(folder)
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=HANG)["content"]["ename"] in (
            "KeyboardInterrupt",
            "CancelledError",
        )
        becomes(lambda: not alive(agent))
        assert cell(client, PROGRAMS["cell"]) == "'DONE'"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def cell(client: BlockingKernelClient, code: str) -> str:
    """What a cell of a notebook shows as its result."""
    shown: list[str] = []

    def look(message: dict[str, object]) -> None:
        content = message["content"]
        assert isinstance(content, dict)
        if message["msg_type"] == "execute_result":
            shown.append(content["data"]["text/plain"])

    reply = client.execute_interactive(code, output_hook=look, timeout=HANG)
    assert reply["content"]["status"] == "ok", reply["content"]
    return shown[0]
