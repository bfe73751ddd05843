import errno
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from optio_agents.cli import main, main as main_function
from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.main import COMMANDS, SUMMARIES, build_overview, build_parser
from tests.support.cli_run import COMMAND_LINE, HANG_GUARD, environment_for


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert all(str(int(code)) in text for code in ExitCode)


def test_the_overview_has_the_summaries_of_the_commands_and_imports_none() -> None:
    assert list(SUMMARIES) == list(COMMANDS)
    full = build_parser(list(COMMANDS)).format_help()
    assert build_overview().format_help() == full
    code = (
        "import sys\nfrom optio_agents.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({'trio', 'rich', 'msgspec', 'optio_agents.cli.run.command'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == ""


@pytest.mark.parametrize("command", ["prompt", "check -", "chat --json -- false", "run -- true"])
def test_an_everyday_command_imports_nothing_of_optio_or_a_server(command: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom optio_agents.cli import main\n"
        f"main({command.split()!r})\n"
        "heavy = {'optio_core', 'optio_host', 'motor', 'pymongo', 'aiohttp', 'asyncssh', 'starlette'}\n"
        "print(*sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    environment = environment_for(tmp_path, {})
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, input="", capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == "", done.stderr


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"optio-agents {version('optio-agents')}\n"


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["--no-such-option"]])
def test_what_is_no_command_is_a_usage_error(arguments: list[str]) -> None:
    assert exit_code(*arguments) == 2


@pytest.mark.parametrize(
    ("raised", "code", "shown"),
    [
        (CommandFailure(ExitCode.IO_ERROR, "no room"), 74, "optio-agents: no room"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(errno.EMFILE, "x"), 74, "optio-agents: too few file descriptors: raise the limit"),
        (ExceptionGroup("", [OSError(errno.ENFILE, "x")]), 74, "too few file descriptors"),
        (ZeroDivisionError("oops"), 70, "ZeroDivisionError: oops"),
    ],
)
def test_exceptions_become_exit_codes(
    raised: BaseException,
    code: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(args: object) -> int:
        raise raised

    monkeypatch.setattr("optio_agents.cli.run.command.run", fail)
    assert main_function(["run", "--", "sh"]) == code
    assert shown in capsys.readouterr().err


def test_help_into_a_closed_pipe_is_no_traceback() -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{' '.join(COMMAND_LINE)} run --help | true"],
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert "Traceback" not in ended.stderr


def test_what_the_terminal_cannot_encode_is_no_failure(tmp_path: Path) -> None:
    log = tmp_path / "optio.log"
    log.write_text("STATUS: 5% caf\u00e9\n", encoding="utf-8")
    ended = subprocess.run(
        [*COMMAND_LINE, "check", str(log)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "     1  STATUS at 5%: caf?\n", "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "--", "/nonexistent/program"), 2),
        (("check", "/nonexistent/optio.log"), 2),
        (("run", "--timeout", "0.1", "--", "sleep", "30"), 124),
        (("no-such-command",), 2),
    ],
)
def test_exit_codes_hold_when_stderr_is_full(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*COMMAND_LINE, *arguments], stderr=full, timeout=HANG_GUARD, check=False, cwd=tmp_path
        )
    assert ended.returncode == code


@pytest.mark.parametrize("arguments", [("prompt",), ("check", "optio.log")])
def test_a_full_disk_is_no_bug_of_ours(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "optio.log").write_text("DONE\n")
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*COMMAND_LINE, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=HANG_GUARD,
            check=False,
            cwd=tmp_path,
        )
    assert ended.returncode == ExitCode.IO_ERROR
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_command_names_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("chekc", "optio.log") == 2
    assert "did you mean check?" in capsys.readouterr().err


def test_the_console_script_is_this_main() -> None:
    from importlib.metadata import entry_points

    [script] = entry_points(group="console_scripts", name="optio-agents")
    assert script.load() is main
    assert sys.executable


def test_too_few_descriptors_for_a_run_are_one_line(tmp_path: Path) -> None:
    limit = ["sh", "-c", 'ulimit -n 10; exec "$@"', "sh"]
    ended = subprocess.run(
        [*limit, *COMMAND_LINE, "run", "--", "true"],
        cwd=tmp_path,
        env=environment_for(tmp_path, {}),
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert ended.returncode == ExitCode.IO_ERROR
    assert ended.stderr == "optio-agents: too few file descriptors: raise the limit (ulimit -n)\n"
