"""The settings of a worker, from options, environment variables or a file. So no password must be on a command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optio_agents.cli.configuration import CONFIG_VARIABLE, CONFIGURABLE, VARIABLE_PREFIX, read_toml
from optio_agents.cli.durations import duration
from optio_agents.cli.exit_codes import UsageError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `--the-name`, `OPTIO_AGENTS_THE_NAME`, or `the_name` in the file; the first that is set counts."""

    name: str
    metavar: str
    help: str
    default: Any = None
    parse: Callable[[Any], Any] = str
    is_flag: bool = False
    """Its option takes no value."""

    @property
    def option(self) -> str:
        """The option of the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{VARIABLE_PREFIX}{self.name.upper()}"


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 < seconds < math.inf:
        raise ValueError("it must be a positive number of seconds")
    return seconds


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("it must be a text that is not empty")
    return value


def _duration(value: Any) -> float:
    try:
        return duration(str(value))
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None


def _count(value: Any) -> int:
    count = int(value)
    if isinstance(value, bool) or count != float(value) or count < 1:
        raise ValueError("it must be a whole number from 1")
    return count


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return parse


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"it must be true or false, not {value!r}")


TASK_ROOT, REMOTE_TASK_ROOT = "OPTIO_AGENTS_TASK_ROOT", "OPTIO_AGENTS_REMOTE_TASK_ROOT"
"""What optio-host reads (`optio_host.paths.task_dir`)."""

LOG_LEVELS = ("debug", "info", "warning", "error")

SETTINGS = (
    Setting("mongo_url", "URL", "mongodb://host:port[/database]; required", parse=_text),
    Setting("redis_url", "URL", "redis://host:port, for control from the dashboard", parse=_text),
    Setting("prefix", "NAME", "namespace in the database, one worker for each", "optio", _text),
    Setting("cancel_grace", "SECONDS", "how long a cancelled task may take to end", 5.0, _seconds),
    Setting("auto_resume_delay", "SECONDS", "from the start until tasks are resumed", 300.0, _seconds),
    Setting("task_root", "DIRECTORY", "where the task directories are on this machine", parse=_text),
    Setting("log_format", "FORMAT", "text, or json for one object per line", "text", _one_of("text", "json")),
    Setting("log_level", "LEVEL", f"one of {', '.join(LOG_LEVELS)}", "warning", _one_of(*LOG_LEVELS)),
    Setting("status_socket", "FILE", "where the worker answers --status", parse=_text),
    Setting("max_tasks", "N", "how many tasks run at once; the others wait", parse=_count),
    Setting(
        "drain",
        "POLICY",
        "what SIGTERM does with running tasks: cancel, or finish (a second signal cancels)",
        "cancel",
        _one_of("cancel", "finish"),
    ),
    Setting("drain_timeout", "DURATION", "how long finish may take, as 10m", parse=_duration),
    Setting(
        "keep_tasks",
        "DURATION",
        "at the start, remove task directories unused for so long, as 30d",
        parse=_duration,
    ),
    Setting("telemetry", "", "record sessions with OpenTelemetry", False, _flag, is_flag=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The settings of a worker. Times in seconds."""

    mongo_url: str
    redis_url: str | None
    prefix: str
    cancel_grace: float
    auto_resume_delay: float
    task_root: str | None
    log_format: str = "text"
    log_level: str = "warning"
    status_socket: str | None = None
    max_tasks: int | None = None
    drain: str = "cancel"
    drain_timeout: float | None = None
    telemetry: bool = False
    keep_tasks: float | None = None


def add_arguments(parser: argparse.ArgumentParser, names: Collection[str] | None = None) -> None:
    """Add an option for each setting, or for those of `names`; the others then come from elsewhere."""
    for setting in SETTINGS:
        if names is not None and setting.name not in names:
            continue
        default = f" (default: {setting.default})" if setting.default is not None else ""
        if setting.is_flag:
            text = f"{setting.help} [{setting.variable}=true]"
            parser.add_argument(setting.option, action="store_const", const=True, help=text)
        else:
            text = f"{setting.help}{default} [{setting.variable}]"
            parser.add_argument(setting.option, metavar=setting.metavar, help=text)
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f'TOML with the names in small letters, as prefix = "optio" [{CONFIG_VARIABLE}]',
    )


def read_settings(args: argparse.Namespace, environment: Mapping[str, str]) -> WorkerSettings:
    """Combine the settings.

    Raises:
        UsageError: one of them is missing or cannot be used; the text says which one and where it comes from.
    """
    path = args.config or environment.get(CONFIG_VARIABLE)
    content = _read_file(Path(path)) if path else {}
    values = {setting.name: _value(setting, args, environment, content, path) for setting in SETTINGS}
    if values["mongo_url"] is None:
        raise UsageError(
            "no database: set OPTIO_AGENTS_MONGO_URL, or mongo_url in the file of --config, or give --mongo-url "
            "(which other users of this machine can read)"
        )
    return WorkerSettings(**values)


def _value(
    setting: Setting,
    args: argparse.Namespace,
    environment: Mapping[str, str],
    content: Mapping[str, Any],
    path: str | None,
) -> Any:
    for value, source in (
        (getattr(args, setting.name, None), setting.option),
        (environment.get(setting.variable) or None, setting.variable),
        (content.get(setting.name), f"{setting.name} in {path}"),
    ):
        if value is not None:
            try:
                return setting.parse(value)
            except (ValueError, TypeError) as error:
                raise UsageError(f"{source} cannot be used: {error}") from error
    return setting.default


def _read_file(path: Path) -> dict[str, Any]:
    """The settings in a file: at its top, or in a table [worker] beside those of the other commands."""
    content = read_toml(path)
    table = content.pop("worker", {})
    content = {key: value for key, value in content.items() if key not in CONFIGURABLE}
    if not isinstance(table, dict):
        raise UsageError(f"worker in {path} must be a table: [worker]")
    content |= table
    known = {setting.name for setting in SETTINGS}
    if unknown := sorted(set(content) - known):
        raise UsageError(
            f"{path} has unknown settings: {', '.join(unknown)} (known: {', '.join(sorted(known))})"
        )
    return content
