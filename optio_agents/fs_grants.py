"""What a sandboxed agent may reach, as flags of the `claustrum` launcher."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optio_agents.config_types import AllowedDir, check_grant_path

BASELINE: tuple[tuple[str, str], ...] = (
    *(("rox", path) for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32")),
    *(("ro", path) for path in ("/etc", "/etc/ssl", "/etc/resolv.conf", "/proc")),
    *(("rw", path) for path in ("/dev/null", "/dev/zero")),
    *(("ro", path) for path in ("/dev/urandom", "/dev/random")),
    *(("rw", path) for path in ("/dev/tty", "/dev/pts", "/dev/ptmx")),
)
"""What nearly every program needs: (mode, path), in order."""

_FLAGS = {"ro": "--ro", "rw": "--rw", "rox": "--rox", "rwx": "--rwx"}


def build_grant_flags(
    *,
    workdir: str,
    engine_cache_dir: str,
    extra_allowed_dirs: Iterable[AllowedDir] | None = None,
    host_home: str | None = None,
    extra_baseline: Iterable[tuple[str, str]] | None = None,
) -> list[str]:
    """The flags: the baseline, the workdir (read, write, execute), the agent's program, then the extras.

    Args:
        workdir: the agent's directory, absolute.
        engine_cache_dir: where its program is installed, absolute.
        extra_allowed_dirs: from the task's config.
        host_home: the home of the host's user, absolute; needed for a path with `~`.
        extra_baseline: further pairs like those of `BASELINE`.

    Raises:
        ValueError: a path is relative, or has `~` and `host_home` is not known; a mode is unknown.
    """
    pairs = [*BASELINE, *(extra_baseline or ()), ("rwx", workdir), ("rox", engine_cache_dir)]
    pairs += [(entry.mode, entry.path) for entry in extra_allowed_dirs or ()]
    flags: list[str] = []
    for mode, path in pairs:
        if mode not in _FLAGS:
            raise ValueError(f"a grant's mode must be one of {', '.join(_FLAGS)}, not {mode!r}")
        flags += [_FLAGS[mode], _absolute(path, host_home)]
    return flags


def fs_isolation_dirs(config: Any, workdir: str) -> list[tuple[str, str]] | None:
    """The directories that an agent may use, for its instructions, (path, mode) each; `None` without isolation.

    Args:
        config: a task config with `optio_agents.config_types.ClaustrumConfigMixin`.
        workdir: the agent's directory.

    Raises:
        ValueError: the config is unusable.
    """
    if not config.fs_isolation:
        return None
    if hasattr(config, "_validate_claustrum"):
        config._validate_claustrum()
    return [(workdir, "rwx"), *((entry.path, entry.mode) for entry in config.extra_allowed_dirs or ())]


def _absolute(path: str, host_home: str | None) -> str:
    check_grant_path(path, what="the path of a grant")
    if path.startswith("~"):
        if not host_home or not host_home.startswith("/"):
            raise ValueError(f"{path!r} cannot be granted: the host user's home is not known")
        path = host_home.rstrip("/") + path[1:]
    return path.rstrip("/") or "/"
