"""The launchers, run for real under /bin/sh."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from optio_agents.hosts.local import LocalHost
from optio_agents.protocol import BrowserEvent, ProtocolFeatures, browser_shims, parse_log_line
from optio_agents.protocol.browser_shims import (
    LAUNCHERS,
    prepare_browser_shims,
    shim_environment,
    shim_scripts,
)
from optio_agents.protocol.features import BrowserMode
from optio_agents.protocol.limits import URL_LIMIT

REDIRECT = ProtocolFeatures("redirect")
HANG_GUARD = 60

AWKWARD_NAMES = [
    "plain",
    "with spaces",
    'it\'s "quoted"',
    "semi;touch injected;",
    "#hash",
    "$(touch injected)`touch injected`",
    "back\\slash %s * ?",
    "new\nline",
    "-dash",
    "@LOG@ @LIMIT@",
]


class InstallingHost:
    """A host with `install_scripts` and `search_path`, as sessions have it."""

    def __init__(self, workdir: Path) -> None:
        self.workdir = str(workdir)

    async def install_scripts(self, directory: str, scripts: Mapping[str, str]) -> str:
        target = Path(self.workdir, directory)
        target.mkdir()
        for name, text in scripts.items():
            (target / name).write_text(text)
            (target / name).chmod(0o755)
        return str(target)

    async def search_path(self) -> str:
        return os.environ["PATH"]


class ThinHost:
    """A host with nothing but what optio-host's hosts had from the beginning."""

    def __init__(self, workdir: Path) -> None:
        self.workdir = str(workdir)
        self.exit_code: int | None = None

    async def write_text(self, relpath: str, content: str) -> None:
        target = Path(self.workdir, relpath)
        target.parent.mkdir(exist_ok=True)
        target.write_text(content)

    async def run_command(self, command: str) -> SimpleNamespace:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.workdir,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        code = done.returncode if self.exit_code is None else self.exit_code
        return SimpleNamespace(stdout=done.stdout, stderr="no", exit_code=code)


async def install(workdir: Path, browser: BrowserMode, host: type = InstallingHost) -> dict[str, str]:
    workdir.mkdir(exist_ok=True)
    (workdir / "optio.log").touch()
    environment = await prepare_browser_shims(host(workdir), browser)
    assert environment is not None
    return environment


def launch(environment: Mapping[str, str], *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as an agent would: found through PATH."""
    return subprocess.run(
        ["/usr/bin/env", *command],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_GUARD,
    )


def log_of(workdir: Path) -> list[str]:
    text = (workdir / "optio.log").read_bytes().decode()
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


async def test_ignore_touches_nothing() -> None:
    assert await prepare_browser_shims(object(), "ignore") is None


@pytest.mark.parametrize("host", [InstallingHost, ThinHost])
@pytest.mark.parametrize("name", AWKWARD_NAMES)
async def test_redirect_appends_one_line_whatever_the_directory_is_called(
    tmp_path: Path, name: str, host: type
) -> None:
    workdir = tmp_path / name
    environment = await install(workdir, "redirect", host)
    (workdir / "optio.log").write_text("STATUS: before\n")
    done = launch(environment, "xdg-open", "https://example.org/?a=1&b=2#c", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert log_of(workdir) == ["STATUS: before", "BROWSER: https://example.org/?a=1&b=2#c"]
    assert list(tmp_path.rglob("injected*")) == []


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_every_launcher_is_shadowed(tmp_path: Path, launcher: str) -> None:
    environment = await install(tmp_path / "w", "redirect")
    arguments = ["open"] if launcher == "gio" else []
    assert launch(environment, launcher, *arguments, "https://x", cwd=tmp_path).returncode == 0
    assert log_of(tmp_path / "w") == ["BROWSER: https://x"]
    mode = (tmp_path / "w" / "bin" / launcher).stat().st_mode
    assert stat.S_IMODE(mode) == 0o755


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (["https://x"], "https://x"),
        (["--new-window", "https://x", "https://y"], "https://x"),
        (["--app=https://x"], "https://x"),
        (["-a", "Safari", "https://x"], "https://x"),
        (["mailto:someone@example.org"], "mailto:someone@example.org"),
        (["--", "report.html"], "report.html"),
        (["-n https://x?a=b"], "-n https://x?a=b"),
        (["--app=https://x?a=b"], "https://x?a=b"),
        (["https://x/%s%n$HOME`id`$(id)\\n\\c"], "https://x/%s%n$HOME`id`$(id)\\n\\c"),
        (["https://x/\u00fc\u4e2d"], "https://x/\u00fc\u4e2d"),
    ],
)
async def test_the_address_is_found_among_the_arguments(
    tmp_path: Path, arguments: list[str], url: str
) -> None:
    environment = await install(tmp_path / "w", "redirect")
    assert launch(environment, "xdg-open", *arguments, cwd=tmp_path).returncode == 0
    assert log_of(tmp_path / "w") == [f"BROWSER: {url}"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(
        st.characters(exclude_characters="\0", codec="utf-8") | st.sampled_from("\n\r\t:/ '\"\\$"),
        max_size=30,
    )
)
@example("https://x\nDONE\nSTATUS: 100% injected")
@example("https://x\rDONE")
@example("\nDONE\n")
def test_no_address_injects_a_line(tmp_path: Path, address: str) -> None:
    workdir = tmp_path / "w"
    script = tmp_path / "xdg-open"
    workdir.mkdir(exist_ok=True)
    (workdir / "optio.log").write_text("")
    script.write_text(shim_scripts(str(workdir), "redirect")["xdg-open"])
    done = subprocess.run(
        ["/bin/sh", str(script), "https://" + address], capture_output=True, check=False, timeout=HANG_GUARD
    )
    assert done.returncode == 0
    [line] = log_of(workdir)
    clean = "".join(
        character for character in "https://" + address if not (ord(character) < 32 or ord(character) == 127)
    )
    assert line == f"BROWSER: {clean}"
    assert parse_log_line(line, features=REDIRECT) == BrowserEvent(clean.strip().strip('"'))


@pytest.mark.parametrize("arguments", [[], [""], ["\n\n"], ["--help"]])
async def test_nothing_to_open_is_a_failure_and_no_line(tmp_path: Path, arguments: list[str]) -> None:
    environment = await install(tmp_path / "w", "redirect")
    done = launch(environment, "xdg-open", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "xdg-open: no address to open" in done.stderr
    assert log_of(tmp_path / "w") == []


async def test_an_address_is_passed_on_up_to_its_limit(tmp_path: Path) -> None:
    environment = await install(tmp_path / "w", "redirect")
    longest = "https://" + "x" * (URL_LIMIT - len("https://"))
    assert launch(environment, "xdg-open", longest, cwd=tmp_path).returncode == 0
    done = launch(environment, "xdg-open", longest + "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "longer than" in done.stderr
    assert log_of(tmp_path / "w") == [f"BROWSER: {longest}"]


async def test_launches_at_the_same_time_do_not_mix_their_lines(tmp_path: Path) -> None:
    environment = {**os.environ, **await install(tmp_path / "w", "redirect")}
    addresses = [f"https://{letter * 3_000}" for letter in "abcdefghijklmnop"]
    running = [
        subprocess.Popen(["/usr/bin/env", "xdg-open", address], env=environment) for address in addresses
    ]
    assert [process.wait(HANG_GUARD) for process in running] == [0] * len(addresses)
    assert sorted(log_of(tmp_path / "w")) == [f"BROWSER: {address}" for address in addresses]


async def test_a_log_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    environment = await install(tmp_path / "w", "redirect")
    (tmp_path / "w" / "optio.log").unlink()
    (tmp_path / "w" / "optio.log").mkdir()
    done = launch(environment, "xdg-open", "https://x", cwd=tmp_path)
    assert done.returncode != 0
    assert "optio.log" in done.stderr


@pytest.mark.parametrize("launcher", ["xdg-open", "firefox"])
async def test_suppress_opens_nothing_and_says_so(tmp_path: Path, launcher: str) -> None:
    environment = await install(tmp_path / "w", "suppress")
    done = launch(environment, launcher, "https://x", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == f"{launcher}: no browser can be opened here\n"
    assert log_of(tmp_path / "w") == []


@pytest.mark.parametrize("browser", ["suppress", "redirect"])
async def test_other_uses_of_gio_reach_the_real_one(tmp_path: Path, browser: BrowserMode) -> None:
    environment = await install(tmp_path / "a b", browser)
    real = tmp_path / "real"
    real.mkdir()
    (real / "gio").write_text('#!/bin/sh\necho "real: $*"\n')
    (real / "gio").chmod(0o755)
    shims = environment["PATH"].split(":")[0]
    done = launch({"PATH": f"{shims}:{real}:/usr/bin:/bin"}, "gio", "trash", "a  b", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "real: trash a  b\n")
    # With no other gio it must not find itself for ever.
    none = tmp_path / "none"
    none.mkdir()
    done = launch({"PATH": f"{shims}:{none}"}, "gio", "trash", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (127, "gio: not installed\n")


@pytest.mark.parametrize("name", AWKWARD_NAMES)
async def test_pythons_own_webbrowser_comes_through(tmp_path: Path, name: str) -> None:
    """BROWSER is a command line to some programs, so a directory's name must not be taken apart in it."""
    environment = await install(tmp_path / name, "redirect")
    script = "import webbrowser; raise SystemExit(not webbrowser.open('https://example.org'))"
    done = launch(environment, sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Python takes a launcher that ended before it looks for one that failed, and tries the next.
    assert set(log_of(tmp_path / name)) == {"BROWSER: https://example.org"}


@pytest.mark.parametrize(("display", "expected"), [(None, ":0"), ("", ":0"), (":7", ":7")])
def test_the_display_is_the_worker_s(
    monkeypatch: pytest.MonkeyPatch, display: str | None, expected: str
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    assert shim_environment("/w/bin", "/bin")["DISPLAY"] == expected


async def test_an_unknown_mode_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'open'"):
        await prepare_browser_shims(LocalHost.within(str(tmp_path)), "open")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_environment_puts_the_scripts_first() -> None:
    assert shim_environment("/w/bin", "/usr/bin:/bin") == {
        "BROWSER": "/w/bin/xdg-open",
        "PATH": "/w/bin:/usr/bin:/bin",
        "DISPLAY": ":0",
    }
    assert shim_environment("/a b/bin", "/bin")["BROWSER"] == "xdg-open"


async def test_the_path_is_the_hosts_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = ThinHost(tmp_path)

    async def elsewhere(command: str) -> SimpleNamespace:
        return SimpleNamespace(stdout="/opt/remote/bin:/bin", stderr="", exit_code=0)

    monkeypatch.setattr(host, "run_command", elsewhere)
    environment = await prepare_browser_shims(host, "suppress")
    assert environment is not None
    assert environment["PATH"] == f"{tmp_path}/bin:/opt/remote/bin:/bin"


async def test_scripts_that_cannot_be_made_executable_are_an_error(tmp_path: Path) -> None:
    host = ThinHost(tmp_path)
    host.exit_code = 1
    with pytest.raises(OSError, match="cannot be made executable: no"):
        await prepare_browser_shims(host, "suppress")


def test_it_is_a_module_of_the_package() -> None:
    assert browser_shims.__name__ == "optio_agents.protocol.browser_shims"
