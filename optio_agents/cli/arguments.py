"""An argument parser whose errors say what to do: which option was probably meant, and where `--` belongs."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.stderr import write_stderr

AGENT_NAMES = ("claude", "codex", "gemini", "opencode")
"""The agents that `run --agent` and `chat --agent` know."""


class CommandParser(argparse.ArgumentParser):
    """`argparse` with hints. Abbreviated options are refused, because a script must not change its meaning later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    @property
    def options(self) -> list[str]:
        """The names of its options."""
        return [name for action in self._actions for name in action.option_strings]

    @property
    def option_actions(self) -> list[argparse.Action]:
        """Its options, as argparse describes them."""
        return [action for action in self._actions if action.option_strings]

    def unknown(self, extra: Sequence[str], arguments: Sequence[str]) -> NoReturn:
        """Refuse the arguments `extra`, which no option takes; `arguments` are all of them."""
        option = next((each for each in extra if each.startswith("-")), extra[0])
        name = option.partition("=")[0]
        hint = did_you_mean(name, self.options)
        if not hint and self._takes_a_command() and "--" not in arguments:
            command = [each for each in arguments if each not in self.options]
            hint = f"; put -- before COMMAND if it is an option of that: {self.prog} -- {shlex.join(command)}"
        self.error(f"unrecognized argument: {option}{hint}")

    def _takes_a_command(self) -> bool:
        return any(action.metavar == "COMMAND" and action.nargs in ("+", "*") for action in self._actions)

    def error(self, message: str) -> NoReturn:
        """Print the usage and `message` to stderr, and exit with 2, also when stderr cannot be written."""
        write_stderr(*self.format_usage().rstrip().splitlines(), f"{self.prog}: error: {message}")
        raise SystemExit(2)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean --deliverables?`, or an empty text if no known word is similar."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def check_web() -> None:
    """Check that the packages for `--web` are installed.

    Raises:
        UsageError: they are not.
    """
    from optio_agents.web.extra import require_web

    try:
        require_web()
    except ImportError as error:
        raise UsageError(str(error)) from None
