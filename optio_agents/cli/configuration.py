"""Defaults for options, from environment variables and the user's configuration file.

One order for every option: the command line, then `OPTIO_AGENTS_<OPTION>`, then the file, then what `--help` says. The
file is TOML with a table for each command:

    [run]
    timeout = "30m"
    allow = ["Read", "Bash(git *)"]

    [chat]
    agent = "codex"

It is `$XDG_CONFIG_HOME/optio-agents/config.toml` (by default in `~/.config`), or what `OPTIO_AGENTS_CONFIG` names.
No file of the current directory is read: a repository must not be able to give its agent permissions.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from optio_agents.cli.arguments import CommandParser, did_you_mean
from optio_agents.cli.exit_codes import UsageError

VARIABLE_PREFIX: Final = "OPTIO_AGENTS_"
CONFIG_VARIABLE: Final = "OPTIO_AGENTS_CONFIG"

CONFIGURABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "run": (
        "accept_new_host_key",
        "allow",
        "browser",
        "caller_messages",
        "client_messages",
        "color",
        "deliverables",
        "deny",
        "identity",
        "known_hosts",
        "orphan_grace",
        "overwrite_hidden",
        "show",
        "stdin",
        "strict",
        "timeout",
        "web",
        "yes_to",
    ),
    "chat": ("agent", "color", "web"),
    "check": ("browser", "caller_messages", "client_messages"),
}
"""The options of each command that can have a default of the user's: those that describe a habit, not one call."""

_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")


def apply_defaults(parser: CommandParser, command: str, environment: Mapping[str, str]) -> None:
    """Give the options of `command` the defaults that the environment and the user's file have for them.

    Raises:
        UsageError: one cannot be used, or the file cannot be read; the text says where it stands, and why.
    """
    names = CONFIGURABLE.get(command)
    if names is None:
        return
    path = config_path(environment)
    named = CONFIG_VARIABLE in environment
    table = _table(path, command, names) if named or path.exists() else {}
    actions = {action.dest: action for action in parser.option_actions}
    values: dict[str, Any] = {}
    for name in names:
        variable = f"{VARIABLE_PREFIX}{name.upper()}"
        if environment.get(variable):
            values[name] = _value(actions[name], _of_text(actions[name], environment[variable]), variable)
        elif name in table:
            values[name] = _value(actions[name], table[name], f"{name} in {path}")
    parser.set_defaults(**values, configured=values)


def given(args: argparse.Namespace, name: str) -> bool:
    """Whether the command line itself has the option. A default of the user's is never refused, only left unused."""
    value = getattr(args, name)
    return bool(value) and value != getattr(args, "configured", {}).get(name)


def config_path(environment: Mapping[str, str]) -> Path:
    """Where the user's file is, or would be."""
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named)
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "optio-agents" / "config.toml"


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def _table(path: Path, command: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The table of `command` in the file."""
    content = read_toml(path)
    known = (*CONFIGURABLE, "worker")
    for key, value in content.items():
        # Plain keys at the top are settings of the worker, which says itself what is wrong with them.
        if isinstance(value, dict) and key not in known:
            raise UsageError(f"{path} has an unknown table [{key}]{did_you_mean(key, known)}")
    table = content.get(command, {})
    if not isinstance(table, dict):
        raise UsageError(f"{command} in {path} must be a table: [{command}]")
    table = {key.replace("-", "_"): value for key, value in table.items()}
    for key in table:
        if key not in names:
            hint = did_you_mean(key, names) or f"; known are {', '.join(names)}"
            raise UsageError(f"[{command}] in {path} has an unknown setting {key!r}{hint}")
    return table


def _of_text(action: argparse.Action, text: str) -> Any:
    """The value that an environment variable stands for; of a list, each line is one element."""
    if _is_flag(action):
        lower = text.lower()
        return True if lower in _TRUE else False if lower in _FALSE else text
    return text.split("\n") if _is_list(action) else text


def _value(action: argparse.Action, value: Any, source: str) -> Any:
    """`value` as the option itself would have it."""
    if _is_flag(action):
        if not isinstance(value, bool):
            raise UsageError(f"{source} must be true or false, not {value!r}")
        return value
    if _is_list(action):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{source} must be a list of texts, not {value!r}")
        return [each for each in value if each]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{source} must be a text or a number, not {value!r}")
    text = str(value)
    if action.choices is not None and text not in action.choices:
        raise UsageError(f"{source} is {text!r}; it must be one of {', '.join(map(str, action.choices))}")
    if not callable(action.type):
        return text
    try:
        return action.type(os.path.expanduser(text) if action.type is Path else text)
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise UsageError(f"{source} cannot be used: {error}") from None


def _is_flag(action: argparse.Action) -> bool:
    return action.nargs == 0


def _is_list(action: argparse.Action) -> bool:
    return isinstance(action.default, list)
