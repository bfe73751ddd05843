"""Replacements for browser launchers.

An agent, or a tool that it runs, opens pages through one of a few well-known commands. Scripts with the same
names come first in its PATH. They open nothing (`suppress`) or pass the address to the person who watches the
session (`redirect`).

The scripts are plain POSIX sh. The address is untrusted input. Each call appends exactly one line to the log in
one write, and the line begins with `BROWSER: `, no matter what the address contains.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final, get_args

from optio_agents.protocol.features import BrowserMode
from optio_agents.protocol.limits import URL_LIMIT
from optio_agents.protocol.paths import LOG_NAME

SHIM_DIRECTORY: Final = "bin"
"""The directory of the scripts, relative to the workdir."""

LAUNCHERS: Final = (
    # Desktop-neutral openers, the ones that programs try first.
    "xdg-open",
    "gio",
    "open",
    "sensible-browser",
    "www-browser",
    "x-www-browser",
    "gnome-open",
    "gvfs-open",
    "kde-open",
    "kde-open5",
    "exo-open",
    "wslview",
    # Browsers by name.
    "firefox",
    "google-chrome",
    "google-chrome-stable",
    "google-chrome-beta",
    "chrome",
    "chromium",
    "chromium-browser",
    "brave-browser",
    "microsoft-edge",
    "opera",
    "vivaldi",
    "epiphany",
    "konqueror",
)
"""The commands that the scripts replace."""

_DEFAULT_LAUNCHER: Final = "xdg-open"

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PLACES: Final = re.compile("@[A-Z]+@")

_PLAIN_PATH: Final = re.compile(r"[\w@+=,./-]+", re.ASCII)

# Exit status 0: after a failure, programs try the next browser.
_SUPPRESS: Final = """\
echo "$name: no browser can be opened here" >&2
"""

# The address is the first argument that looks like one, else the last argument that is not an option. Control
# characters are removed, because a newline would begin another line. The size is limited because a shell splits
# longer writes.
_REDIRECT: Final = """\
LC_ALL=C
export LC_ALL
url=
for word in "$@"; do
    case $word in
        *://* | mailto:*)
            url=$word
            case $word in -*=*://*) url=${word#*=} ;; esac
            break ;;
        -*) ;;
        *) url=$word ;;
    esac
done
url=$(printf '%s' "$url" | tr -d '\\000-\\037\\177')
if [ -z "$url" ]; then
    echo "$name: no address to open" >&2
    exit 2
fi
if [ "${#url}" -gt @LIMIT@ ]; then
    echo "$name: the address is longer than @LIMIT@ bytes" >&2
    exit 2
fi
printf 'BROWSER: %s\\n' "$url" >> @LOG@
"""

# `gio` has many other commands. Only `gio open` is replaced; the others run the real program.
_GIO: Final = """\
if [ "${1-}" != open ]; then
    set -f
    IFS=:
    for directory in $PATH; do
        if [ "$directory" != @DIRECTORY@ ] && [ -x "$directory/gio" ]; then
            exec "$directory/gio" "$@"
        fi
    done
    echo "gio: not installed" >&2
    exit 127
fi
shift
"""


async def prepare_browser_shims(host: Any, browser: BrowserMode) -> dict[str, str] | None:
    """Install the launchers on a host.

    Args:
        host: a `SessionHost`, or any object with `workdir`, `write_text` and `run_command`, such as a host of
            optio-host.
        browser: the mode.

    Returns:
        The environment for launching the agent: `BROWSER`, `PATH` and `DISPLAY` (the worker's, else `:0`). Many
        programs do not try to open a page without a `DISPLAY`. `None` for `ignore`, which leaves the host unchanged.

    Raises:
        ValueError: the mode is unknown.
        OSError: the scripts cannot be made executable.
    """
    if browser == "ignore":
        return None
    if browser not in get_args(BrowserMode):
        raise ValueError(f"browser must be one of {', '.join(get_args(BrowserMode))}, not {browser!r}")
    scripts = shim_scripts(host.workdir, browser)
    if hasattr(host, "install_scripts"):
        directory = await host.install_scripts(SHIM_DIRECTORY, scripts)
    else:
        directory = await _install_by_command(host, scripts)
    return shim_environment(directory, await _search_path(host))


def shim_scripts(workdir: str, browser: BrowserMode) -> dict[str, str]:
    """The scripts of a mode, name to text, for an agent that works in `workdir` (absolute)."""
    values = {
        "@DIRECTORY@": shlex.quote(posixpath.join(workdir, SHIM_DIRECTORY)),
        "@LOG@": shlex.quote(posixpath.join(workdir, LOG_NAME)),
        "@LIMIT@": str(URL_LIMIT),
    }
    body = _SUPPRESS if browser == "suppress" else _REDIRECT
    scripts = {}
    for name in LAUNCHERS:
        template = f"#!/bin/sh\nname={name}\n{_GIO if name == 'gio' else ''}{body}"
        # In one pass, so that text in a directory's name is not taken for a placeholder.
        scripts[name] = _PLACES.sub(lambda found: values[found.group()], template)
    return scripts


def shim_environment(directory: str, search_path: str) -> dict[str, str]:
    """The variables that make programs find the scripts in `directory` before the commands in `search_path`."""
    # Programs parse BROWSER as a command line, each in its own way, and would split a path with special
    # characters. The bare name is found through PATH.
    launcher = posixpath.join(directory, _DEFAULT_LAUNCHER)
    return {
        "BROWSER": launcher if _PLAIN_PATH.fullmatch(launcher) else _DEFAULT_LAUNCHER,
        "PATH": f"{directory}:{search_path}",
        "DISPLAY": os.environ.get("DISPLAY") or ":0",
    }


async def _install_by_command(host: Any, scripts: Mapping[str, str]) -> str:
    directory = posixpath.join(host.workdir, SHIM_DIRECTORY)
    for name, text in scripts.items():
        await host.write_text(f"{SHIM_DIRECTORY}/{name}", text)
    files = " ".join(shlex.quote(posixpath.join(directory, name)) for name in scripts)
    result = await host.run_command(f"chmod 755 -- {files}")
    if getattr(result, "exit_code", 0):
        raise OSError(f"the browser launchers cannot be made executable: {result.stderr.strip()}")
    return directory


async def _search_path(host: Any) -> str:
    """The PATH on the host, which differs from ours on a remote one."""
    if hasattr(host, "search_path"):
        path = await host.search_path()
    else:
        path = str(getattr(await host.run_command('printf "%s" "$PATH"'), "stdout", ""))
    return path.strip() or _DEFAULT_PATH
