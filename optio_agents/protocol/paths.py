"""The path of an announced deliverable: the lexical half of the check.

This module examines the text of a path only. The file itself, links included, is checked when it is opened
(`SessionHost.open_deliverable`). Paths are POSIX paths on every host.
"""

from __future__ import annotations

import posixpath

from optio_agents.protocol.display import display_text
from optio_agents.protocol.limits import NAME_LIMIT, PATH_LIMIT
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

LOG_NAME = "optio.log"
"""The file name of the log in the workdir."""

DELIVERABLES_SUBDIR = "deliverables"
"""The directory, in the workdir, from which files may be delivered."""


def validate_deliverable_path(path: str, workdir: str) -> str:
    """Make `path` absolute and normal, without leaving `workdir`.

    Args:
        path: absolute, or relative to `workdir`.
        workdir: the agent's working directory.

    Returns:
        The absolute path. It need not exist and need not be under `deliverables/`.

    Raises:
        ValueError: it leads out of the workdir, or no file can have such a name (NUL, lone surrogates,
            too long).
    """
    _check_spelling(path)
    root = _normal(workdir)
    absolute = _normal(posixpath.join(root, path))
    if absolute != root and not absolute.startswith(_beneath(root)):
        raise ValueError(f"path leads out of the working directory: {display_text(path)!r}")
    if _size(absolute) > PATH_LIMIT:
        raise ValueError(f"path of more than {PATH_LIMIT} bytes")
    return absolute


def relativize_deliverable_path(absolute_path: str, workdir: str) -> str:
    """Express an absolute path relative to the workdir's `deliverables/`.

    Raises:
        ValueError: it is not under that directory.
    """
    base = _beneath(posixpath.join(_normal(workdir), DELIVERABLES_SUBDIR))
    absolute = _normal(absolute_path) if absolute_path.startswith("/") else absolute_path
    if not absolute.startswith(base):
        raise ValueError(f"path is not under {DELIVERABLES_SUBDIR}/: {display_text(absolute_path)!r}")
    return absolute[len(base) :]


def locate(path_text: str, workdir: str) -> str:
    """Turn the path in an announcement into one relative to `deliverables/`.

    Raises:
        DeliverableRejected: `INVALID_PATH` if no file can have this name, `OUTSIDE` if it is not under
            `deliverables/`.
    """
    try:
        _check_spelling(path_text)
    except ValueError as error:
        raise DeliverableRejected(RejectionKind.INVALID_PATH, str(error)) from None
    absolute = _normal(posixpath.join(_normal(workdir), path_text))
    if absolute == posixpath.join(_normal(workdir), DELIVERABLES_SUBDIR):
        raise DeliverableRejected(RejectionKind.INVALID_PATH, "it names the directory itself")
    try:
        return relativize_deliverable_path(validate_deliverable_path(path_text, workdir), workdir)
    except ValueError as error:
        kind = RejectionKind.OUTSIDE if _size(absolute) <= PATH_LIMIT else RejectionKind.INVALID_PATH
        raise DeliverableRejected(kind, str(error)) from None


def _check_spelling(path: str) -> None:
    """Refuse what no file system accepts as a name."""
    if "\0" in path:
        raise ValueError("path contains a NUL character")
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise ValueError("path is not valid Unicode") from None
    if len(encoded) > PATH_LIMIT:
        raise ValueError(f"path of more than {PATH_LIMIT} bytes")
    if any(len(name) > NAME_LIMIT for name in encoded.split(b"/")):
        raise ValueError(f"path with a name of more than {NAME_LIMIT} bytes")


def _normal(path: str) -> str:
    """Absolute and without `.`, `..` and doubled slashes (POSIX lets `normpath` keep two leading ones)."""
    normal = posixpath.abspath(path)
    return normal[1:] if normal.startswith("//") else normal


def _size(path: str) -> int:
    """Bytes of a path. A workdir may contain bytes that are not UTF-8. Python keeps them as lone surrogates."""
    return len(path.encode("utf-8", "surrogateescape"))


def _beneath(directory: str) -> str:
    return directory if directory.endswith("/") else directory + "/"
