"""Which paths of an agent's home make up a seed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SeedManifest:
    """What to take from a home, and what to do after planting it.

    Args:
        home_subdir: The home, relative to the host's workdir.
        include: Files and directories of the seed, relative to the home. Nothing else is ever taken or planted.
        version: Stored with the seed, for agent packages whose layout changes.
        consume_transform: Awaited with the host after planting, to adapt what was planted (absolute paths, say).

    Raises:
        ValueError: a path is absolute, empty, or contains `..` or a NUL.
    """

    home_subdir: str
    include: list[str]
    version: int = 1
    consume_transform: Callable[[Any], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        """Refuse paths that lead out of the workdir, where they are declared."""
        include: object = self.include
        if isinstance(include, str):
            raise ValueError("include is a list of paths, not one string")  # noqa: TRY004 - all of these are ValueErrors
        _components(self.home_subdir, "home_subdir")
        for path in self.include:
            if not _components(path, "include"):
                raise ValueError(f"include: {path!r} names the home itself; name what is in it")

    @property
    def home(self) -> tuple[str, ...]:
        """The components of `home_subdir`; none for the workdir itself."""
        return _components(self.home_subdir, "home_subdir")

    @property
    def paths(self) -> tuple[str, ...]:
        """The included paths in normal form, without those that another one covers."""
        every = {path_of(path, "include") for path in self.include}
        return tuple(sorted(path for path in every if not any(path.startswith(f"{each}/") for each in every)))

    def covers(self, name: str) -> bool:
        """Whether a member called `name` (in normal form) is one of the paths, or below one."""
        return any(name == path or name.startswith(f"{path}/") for path in self.paths)


def path_of(path: str, what: str) -> str:
    """`path` without empty and `.` components.

    Raises:
        ValueError: it is absolute, or contains `..` or a NUL.
    """
    return "/".join(_components(path, what))


def _components(path: str, what: str) -> tuple[str, ...]:
    components = tuple(each for each in path.split("/") if each not in ("", "."))
    if path.startswith("/") or ".." in components or "\0" in path or "\n" in path:
        raise ValueError(f"{what}: {path!r} must be a relative path without '..', NUL and newline")
    return components
