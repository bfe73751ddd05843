"""Files that a user gives to an agent: from the dashboard into `uploads/` in the agent's workdir.

The workdir belongs to the agent, which may have put a link where `uploads` should be. A file is therefore placed there
without following any link out of the workdir, in one step, and never over a file that is there already.
"""

from __future__ import annotations

import logging
import posixpath
import shlex
import sys
import unicodedata
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from optio_agents.bridge.boundary import Boundary

_log = logging.getLogger(__name__)

UPLOADS: Final = "uploads"
"""The directory, in the workdir."""

UPLOAD_LIMIT: Final = 256 * 1024 * 1024
"""The most bytes of one file: it passes through the worker's memory as a whole."""

UploadCallback: TypeAlias = Callable[[Any, str], Awaitable[Any]]
"""`on_upload(hook_ctx, path)`, with the path relative to the workdir: usually tells the agent."""

_NAME_LIMIT = 200  # bytes; NAME_MAX is 255, and a number may be added
_COPIES = 1000
_CLEANUP_SECONDS = 10.0

_PLACE = f"""
cd -P -- "$1" || exit
root=$(pwd -P) || exit
mkdir -p -- {UPLOADS} && cd -P -- {UPLOADS} || exit
case $(pwd -P)/ in
    "${{root%/}}"/*) ;;
    *) echo "{UPLOADS} leads out of the workdir" >&2; exit 3 ;;
esac
name=$3$4
number=1
until ln -T -- "$2" "./$name" 2>/dev/null; do
    if [ ! -e "./$name" ] && [ ! -L "./$name" ]; then ln -T -- "$2" "./$name"; exit; fi
    number=$((number + 1))
    [ "$number" -le {_COPIES} ] || exit
    name="$3 ($number)$4"
done
rm -f -- "$2"
printf %s "$name"
"""


def safe_upload_relpath(filename: str) -> str:
    """Where a file of that name goes: `uploads/<its last component>`. A backslash counts as a slash.

    Raises:
        ValueError: there is no last component, it is too long, or it holds a control character (it is shown to the
            agent, and a newline in it would forge a message).
    """
    name = filename.replace("\\", "/").strip().rstrip("/").rpartition("/")[2].strip()
    if name in ("", ".", ".."):
        raise ValueError(f"{filename!r} cannot be the name of an uploaded file")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise ValueError(f"the name of an uploaded file holds a control character: {filename!r}")
    if len(name.encode()) > _NAME_LIMIT:
        raise ValueError(f"the name of an uploaded file has more than {_NAME_LIMIT} bytes")
    return f"{UPLOADS}/{name}"


def upload_url_token(database: str, prefix: str, process_id: str) -> str:
    """The address to upload to, for the widget data of a process; the dashboard fills in what is in braces."""
    return f"{{widgetProxyUrl}}../../../../widget-upload/{database}/{prefix}/{process_id}"


async def materialize(
    host: Any,
    workdir: str,
    filename: str,
    data: bytes,
    hook_ctx: Any = None,
    on_upload: UploadCallback | None = None,
) -> str:
    """Put an uploaded file into the workdir, whole or not at all, also when it is cancelled.

    Args:
        host: optio-host's `LocalHost` or `RemoteHost`, ours, or any object with `put_file_to_host`.
        workdir: the agent's directory on the host, absolute.
        filename: as the user's browser named it.
        data: its content.
        hook_ctx: passed to `on_upload`.
        on_upload: called afterwards. What it raises is logged: the file is there.

    Returns:
        Its path relative to the workdir. If the name is taken, a number is added to it.

    Raises:
        ValueError: an unusable name, or a file larger than `UPLOAD_LIMIT`.
        OSError: it cannot be placed, for instance because `uploads` leads out of the workdir.
    """
    path = safe_upload_relpath(filename)
    if len(data) > UPLOAD_LIMIT:
        raise ValueError(f"the file has {len(data):,} bytes, and at most {UPLOAD_LIMIT:,} can be uploaded")
    if _is_local(host):
        path = await _place_locally(workdir, path, data)
    elif _is(host, "optio_host.host", "RemoteHost"):
        path = await _place_remotely(host, workdir, path, data)
    else:
        await host.put_file_to_host(data, f"{workdir}/{path}")
    if on_upload is not None:
        try:
            await on_upload(hook_ctx, path)
        except Exception:  # noqa: BLE001 - a callback's failure does not undo the upload
            _log.exception("the callback for the uploaded file %r failed", path)
    return path


async def _place_locally(workdir: str, path: str, data: bytes) -> str:
    from functools import partial

    import trio

    from optio_agents.bridge import run_in_trio
    from optio_agents.hosts.files.create_new import create_new

    async def main(boundary: Boundary) -> str:
        # Not abandoned when it is cancelled: the file is whole, or it is not there.
        return await trio.to_thread.run_sync(partial(create_new, workdir, path, data))

    return await run_in_trio(main)


async def _place_remotely(host: Any, workdir: str, path: str, data: bytes) -> str:
    """Copy to a name beside the workdir, where a confined agent cannot write, and link it in from there."""
    import trio

    from optio_agents.bridge import run_in_trio
    from optio_agents.hosts.shell import command

    staged = posixpath.join(posixpath.dirname(workdir.rstrip("/")), f".optio-upload-{token_hex(8)}")
    stem, extension = posixpath.splitext(posixpath.basename(path))
    place = command(_PLACE, workdir, staged, stem, extension)

    async def main(boundary: Boundary) -> str:
        try:
            await boundary.call(host.put_file_to_host, data, staged, label="put_file_to_host")
            result = await boundary.call(host.run_command, place, label="run_command")
        except BaseException:
            with trio.move_on_after(_CLEANUP_SECONDS, shield=True):
                await boundary.call(host.run_command, f"rm -f -- {shlex.quote(staged)}", label="run_command")
            raise
        if result.exit_code != 0:
            await boundary.call(host.run_command, f"rm -f -- {shlex.quote(staged)}", label="run_command")
            raise OSError(
                f"the uploaded file could not be placed: {result.stderr.strip() or 'unknown error'}"
            )
        return f"{UPLOADS}/{result.stdout}"

    return await run_in_trio(main)


def _is_local(host: Any) -> bool:
    return _is(host, "optio_host.host", "LocalHost") or _is(host, "optio_agents.hosts.local", "LocalHost")


def _is(host: Any, module: str, name: str) -> bool:
    """Whether `host` is of that class, in a subclass too unless it writes files in a way of its own."""
    known = getattr(sys.modules.get(module), name, None)
    method = "put_file_to_host"
    return (
        known is not None
        and isinstance(host, known)
        and getattr(type(host), method) is getattr(known, method)
        and method not in vars(host)
    )
