"""Keeping what an agent's terminal shows: a mirror of its tmux pane in a file, whose end explains a failure.

Everything the agent's screen shows is in the mirror, what the user typed included. So it lies in a directory of its
own that only the host's user can enter, the file is readable for that user only, and it is bounded: once it holds
`MIRROR_LIMIT` bytes the older half goes. Remove it at the session's end with `remove_pane_log_cmd`; what a crash leaves
behind is removed a week later.

The functions only write shell commands; their caller runs these on the agent's host.
"""

from __future__ import annotations

import os
import posixpath
import shlex

MIRROR_LIMIT = 4 * 1024 * 1024
"""The most bytes that a session's mirror takes; its last lines are what it is for."""

MIRROR_DAYS = 7
"""Days after which a mirror that was left behind is removed."""

_BLOCK = 4096

ANSI_STRIP_SED = "LC_ALL=C sed " + shlex.quote(
    r"s#\x1b\[[0-?]*[ -/]*[@-~]##g; "  # CSI: colours, cursor
    r"s#\x1b\][^\x07\x1b]*\(\x07\|\x1b\\\)##g; "  # OSC: titles, links
    r"s#\x1b[ -/]*[0-~]##g; "  # other escapes
    r"s#[\x00-\x08\x0b-\x1f\x7f]##g"  # control characters, carriage returns included
)
"""A command that leaves the plain text of what a terminal was sent. It needs GNU sed."""


def pane_log_path(
    workdir: str, engine: str, *, root_env: str | None = None, default_root: str = "/tmp/optio-panes"
) -> str:
    """Where the mirror of a session's pane lies on its host: outside the workdir, so that no snapshot has it.

    Args:
        workdir: the agent's directory; the name of its parent names the session.
        engine: the agent's slug.
        root_env: the name of an environment variable that overrides the root.
        default_root: the directory of all mirrors.
    """
    root = (os.environ.get(root_env) if root_env else None) or default_root
    session = posixpath.basename(posixpath.dirname(workdir.rstrip("/")))
    return posixpath.join(root, session, f"{engine}-pane.log")


def mkdir_pane_dir_cmd(pane_log: str) -> str:
    """Make the mirror's directory, mode 0700, and remove mirrors of the same user that are a week old.

    The command fails if the directory, or the one above it, is a symlink or belongs to another user: on a shared host,
    someone else could have made it in /tmp to read along.
    """
    path = posixpath.dirname(pane_log)
    directory, root = shlex.quote(path), shlex.quote(posixpath.dirname(path) or ".")
    ours = " && ".join(f"[ -O {each} ] && [ ! -L {each} ]" for each in (root, directory))
    return (
        f"mkdir -p {directory} && {ours} && chmod 700 {directory} && {{ find {root} -mindepth 2 -maxdepth 2 -type f "
        f"-name '*-pane.log*' -mtime +{MIRROR_DAYS} -exec rm -f {{}} + 2>/dev/null || :; }}"
    )


def pipe_pane_cmd(tmux_path: str, socket_path: str, session_name: str, pane_log: str) -> str:
    """Have tmux copy everything the session's pane shows into the mirror: mode 0600, `MIRROR_LIMIT` bytes at most."""
    log = shlex.quote(pane_log)
    # dd ends after so many reads, each of at most a block, and writes what it has read at once. While the file is
    # still empty after that, tmux has closed the pipe: then the one before it is the last.
    blocks = MIRROR_LIMIT // 2 // _BLOCK
    mirror = (
        f"umask 077; while :; do mv -f {log} {log}.1 2>/dev/null; "
        f"dd bs={_BLOCK} count={blocks} 2>/dev/null | cat >> {log}; "
        f"[ -s {log} ] || {{ mv -f {log}.1 {log} 2>/dev/null; break; }}; done"
    )
    tmux = f"{shlex.quote(tmux_path)} -S {shlex.quote(socket_path)}"
    return f"{tmux} pipe-pane -t {shlex.quote(session_name)} {shlex.quote(mirror)}"


def error_tail_snippet(log_path: str, pane_log: str, engine: str, *, lines: int = 150) -> str:
    """Shell code that appends the mirror's last `lines` lines, as plain text, to the session's log.

    Each line begins with `| `, so that nothing on a screen counts as a keyword of the log protocol. The code ends with
    a semicolon and may stand before any other command.
    """
    log, mirror = shlex.quote(log_path), shlex.quote(pane_log)
    title = shlex.quote(f"The last lines on the terminal of {engine}:")
    return (
        f"echo {title} >> {log}; cat {mirror}.1 {mirror} 2>/dev/null | tail -n {lines} "
        f"| {ANSI_STRIP_SED} | sed 's/^/| /' >> {log} 2>/dev/null; "
    )


def remove_pane_log_cmd(pane_log: str) -> str:
    """Remove the mirror and, if nothing else is in it, its directory."""
    log, directory = shlex.quote(pane_log), shlex.quote(posixpath.dirname(pane_log))
    return f"rm -f {log} {log}.1; rmdir {directory} 2>/dev/null || :"
