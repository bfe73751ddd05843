"""A worker's settings come from options, environment variables or a file, in this order."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.worker.settings import SETTINGS, WorkerSettings, add_arguments, read_settings

URL = "mongodb://db/x"


def read(*arguments: str, **environment: str) -> WorkerSettings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return read_settings(parser.parse_args(arguments), environment)


def test_everything_but_the_database_has_a_default() -> None:
    settings = read(OPTIO_AGENTS_MONGO_URL=URL)
    assert settings == WorkerSettings(
        mongo_url=URL,
        redis_url=None,
        prefix="optio",
        cancel_grace=5.0,
        auto_resume_delay=300.0,
        task_root=None,
        log_format="text",
        log_level="warning",
    )


def test_an_option_comes_before_a_variable_and_a_variable_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(f'mongo_url = "{URL}"\nprefix = "of the file"\ncancel_grace = 7\n')
    assert read("--config", str(file)).prefix == "of the file"
    assert read(OPTIO_AGENTS_CONFIG=str(file)).cancel_grace == 7.0
    settings = read(
        "--cancel-grace", "9", OPTIO_AGENTS_CONFIG=str(file), OPTIO_AGENTS_PREFIX="of the variable"
    )
    assert (settings.prefix, settings.cancel_grace, settings.mongo_url) == ("of the variable", 9.0, URL)


def test_an_empty_variable_counts_as_none() -> None:
    assert read(OPTIO_AGENTS_MONGO_URL=URL, OPTIO_AGENTS_PREFIX="").prefix == "optio"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan"])
def test_a_bad_number_is_refused_with_its_source(value: str) -> None:
    with pytest.raises(UsageError, match="OPTIO_AGENTS_CANCEL_GRACE cannot be used"):
        read(OPTIO_AGENTS_MONGO_URL=URL, OPTIO_AGENTS_CANCEL_GRACE=value)


@pytest.mark.parametrize(("name", "value"), [("log_format", "xml"), ("log_level", "loud")])
def test_a_word_that_is_no_choice_is_refused_with_the_choices(name: str, value: str) -> None:
    variable = f"OPTIO_AGENTS_{name.upper()}"
    with pytest.raises(UsageError, match=f"{variable} cannot be used: it must be one of .*, not '{value}'"):
        read(OPTIO_AGENTS_MONGO_URL=URL, **{variable: value})


def test_without_a_database_the_variable_is_named() -> None:
    with pytest.raises(UsageError, match="OPTIO_AGENTS_MONGO_URL"):
        read()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("prefix = ", "is not TOML"),
        ('mongo = "x"', "unknown settings: mongo"),
        ("prefix = 3", r"prefix in .* cannot be used"),
        ("prefix = ''", "must be a text"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: str, text: str) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(content)
    with pytest.raises(UsageError, match=text):
        read("--config", str(file), OPTIO_AGENTS_MONGO_URL=URL)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read("--config", str(tmp_path / "none"))


def test_help_names_each_variable() -> None:
    parser = argparse.ArgumentParser(prog="x")
    add_arguments(parser)
    shown = "".join(parser.format_help().split())
    for setting in SETTINGS:
        assert setting.variable in shown
