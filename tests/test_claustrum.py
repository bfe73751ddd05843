"""The sandbox's launcher: a probe that must see a denial, and a build that is whole or not there."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from optio_host.host import LocalHost as OptioLocalHost

from optio_agents import claustrum
from optio_agents.claustrum import (
    build_claustrum_on_engine,
    build_claustrum_wrap,
    claustrum_works,
    detect_goarch,
    emit_claustrum_update_notice,
    ensure_claustrum_installed,
    is_elf,
)
from optio_agents.hosts.local import LocalHost
from tests.support import landlock_launcher
from tests.support.processes import alive

CONFINING = f'#!/bin/sh\nexec {sys.executable} -I {landlock_launcher.__file__} "$@"\n'
ECHOING = '#!/bin/sh\necho "$@"\n'
DROPPING = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
"""What a launcher amounts to that does not confine, or any launcher on a kernel without Landlock."""

NEEDS_LANDLOCK = pytest.mark.skipif(not landlock_launcher.available(), reason="this kernel has no Landlock")


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("launcher", "works"),
    [
        pytest.param(CONFINING, True, marks=NEEDS_LANDLOCK),
        (ECHOING, False),
        (DROPPING, False),
        ("#!/bin/sh\necho confined\nexit 1\n", False),
        ("#!/bin/sh\n", False),
        ("not a program", False),
    ],
    ids=["confining", "echoing", "dropping the flags", "failing", "silent", "garbage"],
)
async def test_only_a_launcher_that_denies_passes_the_probe(
    tmp_path: Path, launcher: str, works: bool
) -> None:
    path = script(tmp_path / "it's claustrum", launcher)
    assert await claustrum_works(LocalHost.within(str(tmp_path)), str(path)) is works


def test_a_command_that_is_wrapped() -> None:
    wrapped = build_claustrum_wrap("/x/claustrum", ["--ro", "/etc"])
    assert wrapped == ["/x/claustrum", "--best-effort", "--abi-min", "1", "--ro", "/etc", "--"]


@dataclass
class Result:
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


@dataclass
class ScriptedHost:
    """Answers commands from a table."""

    answers: dict[str, str] = field(default_factory=dict)
    workdir: str = "/work dir"
    commands: list[str] = field(default_factory=list)

    async def run_command(self, command: str) -> Result:
        self.commands.append(command)
        return Result(self.answers.get(command, ""))


@pytest.mark.parametrize(("machine", "goarch"), [("x86_64", "amd64"), ("aarch64", "arm64")])
async def test_the_architecture(machine: str, goarch: str) -> None:
    assert await detect_goarch(ScriptedHost({"uname -s": "Linux\n", "uname -m": f"{machine}\n"})) == goarch


@pytest.mark.parametrize(
    ("system", "machine", "error"), [("Darwin", "arm64", "Linux"), ("Linux", "riscv64", "riscv64")]
)
async def test_a_host_that_has_no_sandbox_is_named(system: str, machine: str, error: str) -> None:
    with pytest.raises(RuntimeError, match=error):
        await detect_goarch(ScriptedHost({"uname -s": system, "uname -m": machine}))


GO = """#!/bin/sh
[ "$1 $2 $3 $4" = "build -trimpath -ldflags -s -w" ] && [ "$CGO_ENABLED $GOOS $GOARCH" = "0 linux amd64" ] || exit 9
printf '\\177EL' > "$6"
echo $$ > {pid}
{wait}
printf 'F and more' >> "$6"
"""


@dataclass
class Workshop:
    """A worker with a real git, a repository of the launcher, and a go that takes part in the test."""

    root: Path

    def __post_init__(self) -> None:
        self.dest = self.root / "cache" / "claustrum"
        self.pid = self.root / "pid"
        self.gate = self.root / "gate"
        self.repository = self.root / "repository"
        self.repository.mkdir()
        self.git("init", "-q")
        self.release("one")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=self.repository, check=True, timeout=60)

    def release(self, text: str) -> None:
        self.git("commit", "-q", "--allow-empty", "-m", text)
        self.git("tag", "-f", "v1")

    def use_go(self, wait: str) -> None:
        script(self.root / "bin" / "go", GO.format(pid=self.pid, wait=wait))

    def go_waits(self) -> None:
        os.mkfifo(self.gate)
        self.use_go(f"read line < {self.gate}")

    async def go_began(self) -> None:
        """A go of its own announces itself by a file; the test looks for it between turns of the loop."""
        while not (self.pid.exists() and self.pid.read_text()):
            await asyncio.sleep(0.01)

    async def build(self) -> None:
        await build_claustrum_on_engine("amd64", "v1", str(self.dest))

    @property
    def left(self) -> list[str]:
        return sorted(entry.name for entry in self.dest.parent.iterdir())


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(claustrum, "CLAUSTRUM_REPO", f"file://{made.repository}")
    made.use_go("")
    return made


def test_a_build_is_put_in_place_whole(workshop: Workshop) -> None:
    workshop.go_waits()

    async def main() -> None:
        building = asyncio.create_task(workshop.build())
        await workshop.go_began()
        assert not workshop.dest.exists()
        await asyncio.to_thread(workshop.gate.write_text, "go on\n")
        await building

    asyncio.run(main())
    assert workshop.dest.read_bytes() == b"\x7fELF and more"
    assert is_elf(str(workshop.dest))
    assert os.access(workshop.dest, os.R_OK)
    assert workshop.left == ["claustrum", "claustrum.commit"]


def test_a_build_that_is_cancelled_leaves_no_process_and_no_program(workshop: Workshop) -> None:
    workshop.go_waits()

    async def main() -> None:
        building = asyncio.create_task(workshop.build())
        await workshop.go_began()
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building

    asyncio.run(main())
    assert not alive(int(workshop.pid.read_text()))
    assert workshop.left == ["claustrum.commit"]
    workshop.use_go("")
    asyncio.run(workshop.build())
    assert is_elf(str(workshop.dest))


async def test_a_build_that_hangs_is_ended(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.go_waits()
    monkeypatch.setattr(claustrum, "BUILD_SECONDS", 0.5)
    with pytest.raises(TimeoutError, match="claustrum v1 could not be built within"):
        await workshop.build()
    assert "claustrum" not in workshop.left


async def test_a_build_that_fails_says_what_go_said(workshop: Workshop) -> None:
    workshop.use_go("echo 'no such module' >&2; exit 1")
    with pytest.raises(RuntimeError, match=r"go build failed .exit code 1.: no such module"):
        await workshop.build()


async def test_a_tag_that_has_moved_is_refused(workshop: Workshop) -> None:
    await workshop.build()
    workshop.dest.unlink()
    await workshop.build()
    workshop.dest.unlink()
    workshop.release("two")
    with pytest.raises(RuntimeError, match="tag v1 has moved"):
        await workshop.build()
    assert not workshop.dest.exists()


@pytest.mark.parametrize("missing", ["git", "go"])
async def test_a_missing_program_is_named(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else found(name))
    with pytest.raises(RuntimeError, match=f"^{missing} is not installed"):
        await workshop.build()


@pytest.mark.parametrize(
    ("content", "expected"), [(b"\x7fELF", True), (b"\x7fEL", False), (b"#!/bin/sh", False)]
)
def test_what_is_a_program(tmp_path: Path, content: bytes, expected: bool) -> None:
    (tmp_path / "x").write_bytes(content)
    assert is_elf(str(tmp_path / "x")) is expected
    assert not is_elf(str(tmp_path / "missing"))


class Engine:
    """Stands in for fetching and building; its product is a script that the test chose."""

    def __init__(self, launcher: str) -> None:
        self.launcher = launcher
        self.builds = 0

    async def build(self, goarch: str, tag: str, dest: str) -> None:
        self.builds += 1
        await asyncio.sleep(0)
        script(Path(dest), self.launcher)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Engine]:
    def use(launcher: str) -> Engine:
        engine = Engine(launcher)
        monkeypatch.setattr(claustrum, "build_claustrum_on_engine", engine.build)
        monkeypatch.setattr(claustrum, "is_elf", os.path.exists)
        return engine

    return use


@dataclass
class Installation:
    """Installs on this machine, as several sessions of one worker do."""

    root: Path
    progress: list[str] = field(default_factory=list)

    async def ensure(self) -> str:
        host = OptioLocalHost(str(self.root / "task"))
        Path(host.workdir).mkdir(parents=True, exist_ok=True)
        return await ensure_claustrum_installed(
            host,
            cache_dir=str(self.root / "host cache"),
            engine_cache_dir=str(self.root / "engine"),
            tag="v1",
            report_progress=lambda percent, message: self.progress.append(message),
        )

    def run(self, times: int = 1) -> list[Any]:
        async def main() -> list[Any]:
            return await asyncio.gather(*(self.ensure() for _ in range(times)))

        return asyncio.run(main())


@NEEDS_LANDLOCK
def test_it_is_built_once_however_many_sessions_start(
    tmp_path: Path, engine: Callable[[str], Engine]
) -> None:
    built = engine(CONFINING)
    installation = Installation(tmp_path)
    [path, *others] = installation.run(times=4)
    assert path.startswith(str(tmp_path / "host cache" / "claustrum" / "v1"))
    assert set(others) == {path}
    assert (built.builds, len(installation.progress)) == (1, 1)
    assert installation.run() == [path]
    assert len(installation.progress) == 1


def test_a_launcher_that_does_not_confine_is_an_error(
    tmp_path: Path, engine: Callable[[str], Engine]
) -> None:
    engine(DROPPING)
    with pytest.raises(RuntimeError, match="functioning claustrum"):
        Installation(tmp_path).run()


@NEEDS_LANDLOCK
def test_a_launcher_that_stopped_working_is_replaced(tmp_path: Path, engine: Callable[[str], Engine]) -> None:
    engine(CONFINING)
    installation = Installation(tmp_path)
    [path] = installation.run()
    script(Path(path), ECHOING)
    assert installation.run() == [path]
    assert Path(path).read_text() == CONFINING


async def notify(host: Any, on_deliverable: Any, newer: str | None = "v0.2.0") -> None:
    await emit_claustrum_update_notice(
        host, "ctx", delivery_type="notices", on_deliverable=on_deliverable, newer=newer, pinned="v0.1.2"
    )


@pytest.mark.parametrize("failure", [None, RuntimeError("full")])
@pytest.mark.parametrize("planted", [None, "deliverables", "deliverables/notices", "file"])
async def test_a_notice_of_a_newer_release_is_delivered_and_removed(
    tmp_path: Path, failure: Exception | None, planted: str | None
) -> None:
    host, delivered = LocalHost(str(tmp_path / "a task")), []
    await host.setup_workdir()
    elsewhere, workdir = tmp_path / "elsewhere", Path(host.workdir)
    elsewhere.mkdir()
    path = "notices/claustrum-update-v0.2.0.md"
    if planted is not None:  # by the agent
        link = workdir / (f"deliverables/{path}" if planted == "file" else planted)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(elsewhere / "new" if planted == "file" else elsewhere)

    async def on_deliverable(context: Any, name: str, text: str) -> None:
        delivered.append((context, name, text, (workdir / "deliverables" / path).read_text()))
        if failure is not None:
            raise failure

    if failure is None:
        await notify(host, on_deliverable)
    else:
        with pytest.raises(RuntimeError, match="full"):
            await notify(host, on_deliverable)
    [(context, name, text, held)] = delivered
    assert (context, name, held) == ("ctx", path, text)
    assert "v0.2.0" in text
    assert "v0.1.2" in text
    assert list((workdir / "deliverables/notices").iterdir()) == []
    assert list(elsewhere.iterdir()) == []


async def test_a_notice_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        await notify(LocalHost.within(str(tmp_path), fresh=True), notify, newer="v" + "9" * 300)


async def test_without_a_callback_or_a_newer_release_there_is_no_notice() -> None:
    host = ScriptedHost()
    await notify(host, None)
    await notify(host, notify, newer=None)
    with pytest.raises(ValueError, match="version"):
        await notify(host, notify, newer="../../x")
    assert host.commands == []
