"""Whole sessions on hosts with other login shells and other userlands."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from optio_agents.hosts.ssh import command
from optio_agents.hosts.ssh.errors import HostFailed
from tests.support.remote_task import (
    AGENT,
    PLAIN,
    BentHost,
    Ctx,
    Delivered,
    bent_host,
    remote_task,
    run,
    still_running,
)
from tests.support.servers import missing

pytestmark = pytest.mark.servers

SHELLS = {
    "sh": PLAIN,
    "bash with a greeting": "echo 'Please read the policy'; echo 'motd' >&2; "
    'exec bash -c "$SSH_ORIGINAL_COMMAND"',
    "csh": 'exec csh -f -c "$SSH_ORIGINAL_COMMAND"',
    "fish": 'exec fish -c "$SSH_ORIGINAL_COMMAND"',
}

OLD_PYTHON = """#!/bin/sh
case " $* " in *" -V "*|*--version*) echo Python 3.6.8; exit 0;; esac
printf '  File "<string>", line 20\\nSyntaxError: future feature annotations is not defined\\n' >&2; exit 1
"""

STUB_PYTHON = """#!/bin/sh
echo 'xcode-select: note: No developer tools were found, requesting install.' >&2; exit 1
"""

PYTHON_WITHOUT_CTYPES = """#!{python} -I
import sys
sys.modules["ctypes"] = sys.modules["_ctypes"] = None
assert sys.argv[1:3] == ["-I", "-c"], sys.argv
code, sys.argv = sys.argv[3], ["-c", *sys.argv[4:]]
exec(compile(code, "<string>", "exec"))
"""

BARE = ("stat", "grep", "readlink", "setsid", "awk")
"""Tools that fail as those of other systems do, on the host without Python."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BentHost]:
    with bent_host(tmp_path_factory.mktemp("bent")) as bent:
        yield bent


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each userland, the directories in which its programs are."""
    root = tmp_path_factory.mktemp("userlands")
    (root / "old").mkdir()
    write(root / "old" / "python3", OLD_PYTHON)
    (root / "stub").mkdir()
    write(root / "stub" / "python3", STUB_PYTHON)
    (root / "no ctypes").mkdir()
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    write(root / "no ctypes" / "python3", PYTHON_WITHOUT_CTYPES.format(python=python))
    (root / "toybox").mkdir()
    if (toybox := shutil.which("toybox")) is not None:
        names = subprocess.run([toybox], capture_output=True, text=True, timeout=60, check=True)
        for name in names.stdout.split():
            (root / "toybox" / name).symlink_to(toybox)
    (root / "busybox").mkdir()
    if (busybox := shutil.which("busybox")) is not None:
        names = subprocess.run([busybox, "--list"], capture_output=True, text=True, timeout=60, check=True)
        for name in names.stdout.split():
            (root / "busybox" / name).symlink_to(busybox)
    (root / "bare").mkdir()
    for directory in ("/usr/bin", "/bin"):
        for program in Path(directory).iterdir():
            link = root / "bare" / program.name
            if not program.name.startswith("python") and not link.is_symlink():
                link.symlink_to(program)
    for name in BARE:
        (root / "bare" / name).unlink(missing_ok=True)
    write(root / "bare" / "stat", "#!/bin/sh\necho 'stat: illegal option -- c' >&2; exit 1\n")
    grep, readlink = shutil.which("grep"), shutil.which("readlink")
    write(root / "bare" / "grep", f'#!/bin/sh\ncase $1 in -*z*) exit 2;; esac\nexec {grep} "$@"\n')
    write(root / "bare" / "readlink", f'#!/bin/sh\n[ "$1" != -f ] || exit 1\nexec {readlink} "$@"\n')
    return {
        "debian": "/usr/bin:/bin",
        "busybox": str(root / "busybox"),
        "no python": str(root / "bare"),
        "old python": f"{root}/old:/usr/bin:/bin",
        "stub python": f"{root}/stub:/usr/bin:/bin",
        "no ctypes": f"{root}/no ctypes:/usr/bin:/bin",
        # It has no shell and no awk of its own.
        "toybox": f"{root}/toybox:{root}/bare",
    }


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


USERLANDS = ("debian", "busybox", "no python", "old python")
MORE_USERLANDS = ("toybox", "stub python", "no ctypes")
EVERYTHING = [
    *((shell, userland) for shell in SHELLS for userland in USERLANDS),
    *(("sh", userland) for userland in MORE_USERLANDS),
]
SOME = [(shell, userland) for shell, userland in EVERYTHING if shell == "sh" or userland == "debian"]


@pytest.mark.parametrize(("shell", "userland"), EVERYTHING if os.environ.get("CI") else SOME)
def test_a_session_comes_through_and_leaves_nothing(
    host: BentHost, paths: dict[str, str], tmp_path: Path, userland: str, shell: str
) -> None:
    for program in {"csh", "fish"} & {shell} | {"busybox", "toybox"} & {userland}:
        if shutil.which(program) is None:
            missing(program)
    words = SHELLS[shell]
    for program in ("bash", "csh", "fish"):  # they are not part of every userland
        words = words.replace(f"exec {program} ", f"exec {shutil.which(program)} ")
    host.bend(f"PATH='{paths[userland]}'; CDPATH=.:/srv; export PATH CDPATH; {words}")
    ctx, delivered = Ctx(), Delivered()
    run(remote_task(host.ssh, tmp_path / "task", AGENT, on_deliverable_file=delivered).execute(ctx))
    assert delivered == {"sub/report.txt": b"the content"}
    assert any("report.txt: accepted" in each for each in ctx.said), ctx.said
    assert not (tmp_path / "task").exists()
    assert still_running(str(tmp_path)) == []


PS = """#!/bin/sh
# What POSIX says of `ps -A -o pid= -o stat= -o ppid= -o pgid=` and `ps -o args= -p PID`.
case $1 in
    -A) cat {proc}/[0-9]*/stat 2>/dev/null | sed 's/(.*)/x/' | awk '{{ print $1, $3, $4, $5 }}';;
    *) for pid; do :; done; tr '\\000' ' ' <"{proc}/$pid/cmdline";;
esac
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide /proc")
@pytest.mark.parametrize("userland", ["debian", "no python"])
def test_without_proc_the_agents_processes_are_found_by_ps_and_it_is_said(
    host: BentHost, paths: dict[str, str], tmp_path: Path, userland: str
) -> None:
    """As on the BSDs and macOS; with nothing of what differs there, setsid included, in the second case."""
    proc, tools = tmp_path / "proc", tmp_path / "tools"
    proc.mkdir()
    tools.mkdir()
    write(tools / "ps", PS.format(proc=proc))
    (tools / "awk").symlink_to(shutil.which("awk") or "/usr/bin/awk")
    hide = (
        f"mount --bind /proc {proc} && mount -t tmpfs none /proc && PATH={tools}:{paths[userland]} && {PLAIN}"
    )
    host.bend(f"export PATH; exec unshare -m /bin/sh -c {shlex.quote(hide)}")
    numbers = [f"{random.randrange(10**8, 10**9)}" for _ in range(2)]
    agent = f"""
        (trap '' TERM; exec sleep {numbers[0]}) & sleep {numbers[1]} &
        echo 'STATUS: 40% half way' >> optio.log; echo DONE >> optio.log; sleep 60
    """
    ctx = Ctx()
    run(remote_task(host.ssh, tmp_path / "task", agent).execute(ctx))
    assert any("may still be running" in each for each in ctx.said), ctx.said
    assert [each for text in (*numbers, str(tmp_path / "task")) for each in still_running(text)] == []


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ("echo 'This account is currently not available.'; exit 1", "currently not available"),
        ("head -c 3000000 /dev/zero | tr '\\000' x; exec sleep 60", "did not run our command"),
        ("head -c 4000000 /dev/zero | tr '\\000' x >&2; echo no >&2; exit 1", "xxxx"),
        ("echo 'only backups here'; exec sleep 60", "within 0.5 s; the host printed: only backups here"),
    ],
    ids=["nologin", "endless output", "endless complaints", "another program"],
)
def test_an_account_that_runs_no_commands_is_one_error_with_its_own_words(
    host: BentHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, words: str
) -> None:
    if "sleep" in login:
        monkeypatch.setattr(command, "SHELL_SECONDS", 0.5)
    host.bend(login)
    with pytest.raises(HostFailed, match=words):
        run(remote_task(host.ssh, tmp_path / "task", AGENT).execute(Ctx()))


def test_much_on_standard_error_of_the_login_shell_does_not_stop_the_output(
    host: BentHost, tmp_path: Path
) -> None:
    host.bend(f"head -c 4000000 /dev/zero | tr '\\000' x >&2; {PLAIN}")
    run(remote_task(host.ssh, tmp_path / "task", "echo DONE >> optio.log; sleep 60").execute(Ctx()))


def test_the_hosts_own_words_say_why_there_is_no_workdir(host: BentHost, tmp_path: Path) -> None:
    write(tmp_path / "mkdir", "#!/bin/sh\necho 'mkdir: No space left on device' >&2; exit 1\n")
    host.bend(f"PATH='{tmp_path}':$PATH; {PLAIN}")
    with pytest.raises(OSError, match="No space left on device"):
        run(remote_task(host.ssh, tmp_path / "task", AGENT).execute(Ctx()))
