import argparse
from pathlib import Path

import pytest

from optio_agents.cli.main import build_parser
from optio_agents.cli.run import seconds, settings
from optio_agents.cli.settings import Show
from optio_agents.protocol.features import ProtocolFeatures


def parse(*arguments: str) -> argparse.Namespace:
    return build_parser(["run"]).parse_args(["run", *arguments])


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["--", "sh", "-c", "echo x"], ["sh", "-c", "echo x"]),
        (["--", "sh", "--json", "--", "-x"], ["sh", "--json", "--", "-x"]),
        (["sh", "script"], ["sh", "script"]),
    ],
)
def test_what_follows_the_dashes_is_the_command_untouched(arguments: list[str], command: list[str]) -> None:
    args = parse(*arguments)
    assert args.agent == command
    assert not args.json


def test_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = settings(parse("--", "sh"))
    assert made.deliverables == tmp_path / "deliverables"
    assert (made.workdir, made.output, made.timeout, made.strict) == (None, None, None, False)
    assert (made.show, made.features) == (Show.AUTO, ProtocolFeatures())
    assert Path(made.command[0]).is_absolute()


def test_every_option_arrives(tmp_path: Path) -> None:
    made = settings(
        parse(
            *("--workdir", str(tmp_path), "--deliverables", "out", "--output", "log", "--timeout", "1.5"),
            *("--strict", "--quiet", "--browser", "redirect", "--caller-messages", "--", "sh", "x"),
        )
    )
    assert made.workdir == tmp_path
    assert made.deliverables == Path.cwd() / "out"
    assert made.output == Path.cwd() / "log"
    assert made.timeout == 1.5
    assert made.strict
    assert made.features == ProtocolFeatures("redirect", False, True)
    assert (made.show, made.command[1:]) == (Show.QUIET, ("x",))


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_timeout_is_a_positive_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--"],
        ["--json", "--quiet", "--", "sh"],
        ["--browser", "firefox", "--", "sh"],
        ["--timeout", "0", "--", "sh"],
        ["--no-such-option", "--", "sh"],
        ["--deliv", "out", "--", "sh"],
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 2
    assert "usage: optio-agents" in capsys.readouterr().err
