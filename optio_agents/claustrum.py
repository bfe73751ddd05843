"""The file-system sandbox: `claustrum`, an external launcher that confines an agent with Linux's Landlock.

It is built on the worker from a pinned release and copied to the agent's host. What counts there is a probe: claustrum
is used only where it has just denied access to a file. A program that does not confine, or a kernel without Landlock,
is an error and never an unconfined agent.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from optio_agents.bridge.boundary import Boundary

_log = logging.getLogger(__name__)

CLAUSTRUM_REPO: Final = "https://github.com/deai-network/claustrum"

CLAUSTRUM_PINNED_TAG: Final = "v0.1.2"

BUILD_SECONDS: Final = 600.0
"""How long fetching and building may take."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_EXCERPT = 2000  # characters of a failed command's output
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

_FLAGS = ("--best-effort", "--abi-min", "1")
_PROBE_GRANTS = ("--rox", "/usr", "--rox", "/bin", "--rox", "/lib", "--rox", "/lib64")

# Run inside the sandbox with a file beyond the grants. It says "con" and "fined", joined only when it runs, so that a
# program which merely prints its arguments does not pass. /dev/null is not granted either, and so not used.
_PROBE_INSIDE = (
    'if seen=$(cat "$1" 2>&1); then echo reads; '
    'elif (echo x >> "$1"); then echo writes; '
    "else printf '%s%s\\n' con fined; fi"
)
_CONFINED = "confined"


_NOTICE = """
cd -P -- "$1" || exit
name=$2 text=$3
shift 3
for directory in deliverables "$@"; do
    if [ -L "$directory" ] || ! [ -d "$directory" ]; then rm -f -- "./$directory"; fi
    here=$(pwd -P)
    mkdir -p -- "./$directory" && cd -P -- "./$directory" || exit
    [ "$(pwd -P)" = "${here%/}/$directory" ] || { echo "$directory was replaced by a link" >&2; exit 1; }
done
rm -f -- "./$name" || exit
if [ "$text" ]; then set -C; printf %s "$text" > "./$name"; fi
"""
# The workdir is the agent's: what stands in the way is removed, not followed, and `set -C` opens with O_EXCL. The
# second run, with no text, removes the file.


def build_claustrum_wrap(claustrum_path: str, grants: Sequence[str]) -> list[str]:
    """The arguments to put before the agent's command; `grants` come from `fs_grants.build_grant_flags`."""
    return [claustrum_path, *_FLAGS, *grants, "--"]


async def detect_goarch(host: Any) -> str:
    """Go's name for the host's architecture.

    Raises:
        RuntimeError: it is not Linux, or another architecture than x86_64 and aarch64.
    """
    system = (await host.run_command("uname -s")).stdout.strip()
    if system != "Linux":
        raise RuntimeError(f"the sandbox needs Linux, and the host runs {system or 'an unknown system'}")
    machine = (await host.run_command("uname -m")).stdout.strip()
    if machine not in _ARCHITECTURES:
        raise RuntimeError(f"the sandbox is not available for {machine!r}, only for x86_64 and aarch64")
    return _ARCHITECTURES[machine]


def is_elf(path: str) -> bool:
    """Whether `path` is a program in ELF format, judged by its first bytes."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


async def claustrum_works(host: Any, path: str) -> bool:
    """Whether the launcher at `path` on the host confines: a file beyond the grants is neither read nor written.

    The file is made for this and removed afterwards. A program that confines nothing, or drops the flags, fails, and so
    does every launcher on a kernel without Landlock.
    """
    wrap = shlex.join([*build_claustrum_wrap(path, _PROBE_GRANTS), "/bin/sh", "-c", _PROBE_INSIDE, "sh"])
    probe = (
        'd=$(mktemp -d) || exit; trap \'rm -rf "$d"\' EXIT; echo secret > "$d/file"; '
        f'{wrap} "$d/file" && [ "$(cat "$d/file")" = secret ]'
    )
    result = await host.run_command(f"/bin/sh -c {shlex.quote(probe)}")
    return result.exit_code == 0 and str(result.stdout).strip() == _CONFINED


async def ensure_claustrum_installed(
    host: Any,
    *,
    cache_dir: str,
    engine_cache_dir: str,
    tag: str = CLAUSTRUM_PINNED_TAG,
    report_progress: Callable[[float | None, str], Any] | None = None,
) -> str:
    """Make sure that a launcher which confines is on the host.

    Args:
        host: has `run_command` and `put_file_to_host`.
        cache_dir: the cache on the host, absolute.
        engine_cache_dir: the cache on this machine, where the launcher is built once per release and architecture.
        tag: the release.
        report_progress: is called before what takes long.

    Returns:
        Its path on the host.

    Raises:
        RuntimeError: it cannot be built, or does not confine on this host: see `claustrum_works`.
        TimeoutError: building took longer than `BUILD_SECONDS`.
    """
    from optio_agents.bridge.exclusive import exclusive

    goarch = await detect_goarch(host)
    place = ("claustrum", tag, goarch, "claustrum")
    installed, built = posixpath.join(cache_dir, *place), os.path.join(engine_cache_dir, *place)
    # Sessions that start together would overwrite each other's copy: the first one installs it.
    async with exclusive(place):
        present = await host.run_command(f"test -x {shlex.quote(installed)} && echo present")
        if "present" in present.stdout and await claustrum_works(host, installed):
            return installed
        if report_progress is not None:
            report_progress(None, "Installing the file-system sandbox...")
        if not is_elf(built):
            await build_claustrum_on_engine(goarch, tag, built)
        await host.put_file_to_host(built, installed)
        await host.run_command(f"chmod +x {shlex.quote(installed)}")
        if not await claustrum_works(host, installed):
            raise RuntimeError(
                f"there is no functioning claustrum on the host: {installed} did not deny access to a file. The "
                "kernel needs Landlock (Linux 5.13 or newer, enabled at boot); without it, set fs_isolation=False "
                "to run the agent unconfined"
            )
    return installed


async def build_claustrum_on_engine(goarch: str, tag: str, dest: str) -> None:
    """Fetch a release and build it on this machine; `dest` appears in one step, whole.

    The commit of the first build is kept in `<dest>.commit`: a tag that points elsewhere later is refused. Cancelling
    ends git and go with their children.

    Args:
        goarch: Go's name for the architecture to build for.
        tag: the release.
        dest: the program's path, absolute.

    Raises:
        RuntimeError: git or go is missing or fails, or the tag has moved.
        TimeoutError: it took longer than `BUILD_SECONDS`.
    """
    from optio_agents.bridge import run_in_trio
    from optio_agents.bridge.deadline import deadline

    for program in ("git", "go"):
        if shutil.which(program) is None:
            raise RuntimeError(
                f"{program} is not installed on this worker: building the file-system sandbox needs git and go. "
                "Install it, or set fs_isolation=False to run the agent unconfined"
            )

    async def main(boundary: Boundary) -> None:
        async with deadline(BUILD_SECONDS, f"claustrum {tag} could not be built"):
            await _build(goarch, tag, dest)

    await run_in_trio(main)


async def emit_claustrum_update_notice(
    host: Any,
    hook_ctx: Any,
    *,
    delivery_type: str,
    on_deliverable: Callable[..., Any] | None,
    newer: str | None,
    pinned: str,
) -> None:
    """Deliver a notice that a newer release of the sandbox exists; without a callback or a newer one, do nothing.

    The file lies beneath `deliverables/` while the callback runs. No link that the agent has planted there is followed.

    Args:
        host: has `workdir` and `run_command`.
        hook_ctx: passed to the callback.
        delivery_type: the directory beneath `deliverables/`.
        on_deliverable: the session's callback.
        newer: the newer release's tag.
        pinned: the tag that is used.

    Raises:
        ValueError: `newer` is no version; it comes from a server and becomes a file's name.
        OSError: the file cannot be written.
        Exception: what the callback raises.
    """
    if on_deliverable is None or not newer:
        return
    from optio_agents.hosts.shell import command as shell_command

    if not _VERSION.fullmatch(newer):
        raise ValueError(f"{newer!r} is no version of claustrum")
    name = f"claustrum-update-{newer}.md"
    path = f"{delivery_type}/{name}"
    text = (
        f"# A newer file-system sandbox: claustrum {newer}\n\n"
        f"Agents are confined with claustrum {pinned}. Release {newer} is available at {CLAUSTRUM_REPO}. "
        "It may close a hole in the sandbox: update the agent package that pins the older one.\n"
    )
    directories = [part for part in delivery_type.split("/") if part]
    placed = await host.run_command(shell_command(_NOTICE, host.workdir, name, text, *directories))
    if placed.exit_code != 0:
        raise OSError(f"the notice of claustrum {newer} cannot be written: {placed.stderr.strip()}")
    try:
        await on_deliverable(hook_ctx, path, text)
    finally:
        await host.run_command(shell_command(_NOTICE, host.workdir, name, "", *directories))


async def _build(goarch: str, tag: str, dest: str) -> None:
    """Trio: build beside `dest`, then put it in place."""
    parent = os.path.dirname(dest)
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=parent, ignore_cleanup_errors=True) as scratch:
        source, program = os.path.join(scratch, "source"), os.path.join(scratch, "claustrum")
        await _command("git", "clone", "--depth", "1", "--branch", tag, CLAUSTRUM_REPO, source, cwd=scratch)
        commit = (await _command("git", "rev-parse", "HEAD", cwd=source)).strip()
        _check_commit(f"{dest}.commit", tag, commit)
        await _command(
            *("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "."),
            cwd=source,
            env={"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": goarch},
        )
        if not is_elf(program):
            raise RuntimeError("go build did not produce a program for claustrum")
        os.replace(program, dest)
    _log.info("built claustrum %s (commit %s) for %s", tag, commit, goarch)


def _check_commit(record: str, tag: str, commit: str) -> None:
    try:
        with open(record, encoding="utf-8") as file:
            first = file.read().strip()
    except FileNotFoundError:
        with open(record, "x", encoding="utf-8") as file:
            file.write(f"{commit}\n")
        return
    if first != commit:
        raise RuntimeError(
            f"claustrum's tag {tag} has moved: it was commit {first} and is {commit} now. If that is right, remove "
            f"{record}"
        )


async def _command(*arguments: str, cwd: str, env: dict[str, str] | None = None) -> str:
    from optio_agents.hosts.processes.commands import run

    done = await run(list(arguments), cwd=cwd, env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **(env or {})})
    if done.code != 0:
        said = (done.stderr or done.stdout).strip()[:_EXCERPT]
        raise RuntimeError(f"{' '.join(arguments[:2])} failed (exit code {done.code}): {said}")
    return done.stdout
