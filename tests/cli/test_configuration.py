"""The user's own defaults: one order, typed like the options, and errors that say where they stand."""

import argparse
from pathlib import Path

import pytest

from optio_agents.cli.configuration import CONFIGURABLE
from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.main import build_command_parser, build_parser, parse
from optio_agents.cli.run.command import settings
from optio_agents.cli.worker.settings import read_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file, which does not exist yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "optio-agents" / "config.toml"
    path.parent.mkdir()
    return path


def run_arguments(*arguments: str) -> argparse.Namespace:
    return parse(["run", *arguments, "--", "true"])


def test_without_a_file_the_defaults_of_the_options_hold(config: Path) -> None:
    assert run_arguments().timeout is None


def test_the_command_line_comes_before_the_environment_and_that_before_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('[run]\ntimeout = "30m"\n')
    assert run_arguments().timeout == 1800
    monkeypatch.setenv("OPTIO_AGENTS_TIMEOUT", "10m")
    assert run_arguments().timeout == 600
    assert run_arguments("--timeout", "5").timeout == 5


def test_values_have_the_types_of_the_options(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('[run]\ntimeout = 90\nstrict = true\ndeliverables = "~/out"\nshow = "nothing"\n')
    args = run_arguments()
    assert (args.timeout, args.strict, args.show) == (90, True, "nothing")
    assert args.deliverables == Path.home() / "out"
    monkeypatch.setenv("OPTIO_AGENTS_STRICT", "no")
    assert run_arguments().strict is False


def test_rules_of_the_command_line_are_added_to_those_of_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('[run]\nallow = ["Read"]\n')
    assert parse(["run", "--agent", "claude", "--allow", "Edit", "do it"]).allow == ["Read", "Edit"]
    monkeypatch.setenv("OPTIO_AGENTS_ALLOW", "Bash(git *)\nGrep\n")
    assert parse(["run", "--agent", "claude", "do it"]).allow == ["Bash(git *)", "Grep"]


def test_a_default_that_only_some_runs_can_use_hinders_no_other(config: Path) -> None:
    config.write_text(
        '[run]\nallow = ["Read"]\nweb = true\norphan-grace = "1h"\naccept-new-host-key = true\n'
    )
    assert settings(run_arguments()).orphan_grace == 3600
    with pytest.raises(UsageError, match="--allow requires --agent"):
        settings(run_arguments("--allow", "Edit"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[run]\ntimeout = "soon"\n', "timeout in .*config.toml cannot be used: not a duration"),
        ("[run]\nstrict = 1\n", "strict in .* must be true or false"),
        ('[run]\nallow = "Read"\n', "allow in .* must be a list of texts"),
        ('[run]\nshow = "all"\n', "must be one of text"),
        ("[run]\ntimeout = [1]\n", "must be a text or a number"),
        ("[run]\ntimeot = 1\n", "unknown setting 'timeot'; did you mean timeout"),
        ('[run]\nresume = "x"\n', "unknown setting 'resume'"),
        ("[rum]\n", r"unknown table \[rum\]; did you mean run"),
        ("run = 1\n", "run in .* must be a table"),
        ("[run", "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(config: Path, content: str, message: str) -> None:
    config.write_text(content)
    with pytest.raises(UsageError, match=message):
        run_arguments()


def test_a_variable_that_cannot_be_used_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIO_AGENTS_STRICT", "perhaps")
    with pytest.raises(UsageError, match="OPTIO_AGENTS_STRICT must be true or false"):
        run_arguments()


def test_a_file_that_was_named_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIO_AGENTS_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml"):
        run_arguments()


def test_help_works_with_a_broken_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[run")
    with pytest.raises(SystemExit):
        parse(["run", "--help"])
    assert "--timeout" in capsys.readouterr().out


def test_one_file_serves_the_worker_too(config: Path) -> None:
    config.write_text('[run]\nstrict = true\n\n[worker]\nmongo_url = "mongodb://localhost"\n')
    args = parse(["worker", "--config", str(config), "module:get_tasks"])
    assert read_settings(args, {}).mongo_url == "mongodb://localhost"
    assert run_arguments().strict is True


@pytest.mark.parametrize("command", CONFIGURABLE)
def test_each_configurable_setting_is_an_option(command: str) -> None:
    options = {action.dest for action in build_command_parser(command).option_actions}
    assert set(CONFIGURABLE[command]) <= options


def test_a_parser_for_a_completion_script_has_no_defaults_of_the_user(config: Path) -> None:
    config.write_text("[run")
    build_parser(["run"])
