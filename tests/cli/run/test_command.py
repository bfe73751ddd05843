import argparse
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.main import parse as parse_arguments
from optio_agents.cli.run.command import settings
from optio_agents.cli.run.settings import Show
from optio_agents.hosts.ssh.settings import HostKeyPolicy, SshSettings
from optio_agents.protocol.features import ProtocolFeatures


def parse(*arguments: str) -> argparse.Namespace:
    return parse_arguments(["run", *arguments])


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
    assert args.words == command
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


def test_with_ssh_the_command_is_not_looked_for_here(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    known = tmp_path / "known_hosts"
    trust = ("--known-hosts", str(known), "--accept-new-host-key")
    made = settings(parse("--ssh", "me@host:2222", "--identity", str(key), *trust, "--", "only-there", "x"))
    assert made.command == ("only-there", "x")
    assert made.ssh == SshSettings("host", "me", 2222, key, HostKeyPolicy(known, accept_new=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--identity", "key", "--", "sh"], "--identity requires --ssh"),
        (["--known-hosts", "file", "--", "sh"], "--known-hosts requires --ssh"),
        (["--accept-new-host-key", "--", "sh"], "--accept-new-host-key requires --ssh"),
        (["--ssh", "me@host", "--known-hosts", "no-such-file", "--", "sh"], "no file of known hosts"),
        (["--ssh", "me@host", "--workdir", ".", "--", "sh"], "--workdir"),
        (["--ssh", "me@host", "--identity", "no-such-key", "--", "sh"], "there is no key"),
    ],
)
def test_options_that_contradict_each_other_are_unusable(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings(parse(*arguments))


@pytest.mark.parametrize(
    "arguments",
    [
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


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--deliverable", "x", "--", "true"], "did you mean --deliverables?"),
        (["--timout=5", "--", "true"], "did you mean --timeout?"),
        (["ls", "-l"], "optio-agents run -- ls -l"),
        (["--no-such-option", "--", "sh"], "unrecognized argument: --no-such-option"),
    ],
)
def test_an_unknown_argument_is_refused_with_what_was_meant(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert hint in error
    assert "usage: optio-agents run" in error
