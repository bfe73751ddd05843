"""Small programs for the POSIX shell of another machine: text out, text in, no I/O of their own.

They need `sh`, `cat`, `head`, `tail`, `mkdir`, `mv`, `readlink`, `stat`, `base64` (coreutils or busybox)
and `/proc`: any Linux. What they are told is quoted, so that a directory called `a; rm -rf b` is just a
directory.

Reading a deliverable is one program, and what it checks is what it reads: the file is opened first, and
then its real path, its type and its size are asked of the open descriptor, through `/proc/self/fd`. A link
that is swapped between the steps changes nothing about that.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from optio_agents.protocol.paths import LOG_NAME
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

NAME_BYTES = 255
"""The longest file name on Linux."""


def command(script: str, *args: str) -> str:
    """One command line that runs `script` with `$1`, `$2`, ..., whatever the login shell is."""
    return shlex.join(["sh", "-c", script, "sh", *args])


SEARCH_PATH = command('printf %s "$PATH"')
"""Prints the `PATH` that commands get."""

_PREPARE_CHANNEL = f"""
set -eC
cd -- "$1"
if [ -L deliverables ] || ! [ -d deliverables ]; then rm -f deliverables; fi
mkdir -p deliverables
rm -f {LOG_NAME}
: > {LOG_NAME}
"""
# `set -C` opens with O_EXCL, which follows no link.


def prepare_channel(workdir: str) -> str:
    """Make `deliverables/` and an empty log; what stands in their way is removed, not followed."""
    return command(_PREPARE_CHANNEL, workdir)


_INSTALL = """
set -eC
cd -- "$1"
if [ -L "$2" ]; then rm -f "./$2"; fi
mkdir -p "./$2"
cd "./$2"
shift 2
while [ $# -gt 0 ]; do
    rm -f "./.$1.new"
    printf %s "$2" > "./.$1.new"
    chmod 755 "./.$1.new"
    mv -f "./.$1.new" "./$1"
    shift 2
done
"""


def install_scripts(workdir: str, directory: str, scripts: Mapping[str, str]) -> str:
    """Write executable files, name to text, into a directory of the workdir, replacing what has their names.

    One command for all of them: over SSH, each costs a round trip and a process. Together they are limited to what one
    argument can hold (128 KiB on Linux), because the shell over there gets the command as one.
    """
    return command(_INSTALL, workdir, directory, *chain.from_iterable(scripts.items()))


_READ_DELIVERABLE = """
no() { printf 'no %s %s\\n' "$1" "$2"; exit 0; }
LC_ALL=C; export LC_ALL
limit=$3 skip=$4 expected=$5 encode=$6
cd -P -- "$1" 2>/dev/null || no trouble "the workdir is gone"
root=$(pwd -P)/deliverables
if [ -L deliverables ]; then no outside "deliverables is a link"; fi
cd deliverables 2>/dev/null || no missing "there is no deliverables directory"
file=./$2
case $(readlink -f -- "$file") in
    "$root"/*) ;;
    "") no missing "No such file or directory";;
    *) no outside "it leads out of deliverables/";;
esac
[ -e "$file" ] || no missing "No such file or directory"
if [ -d "$file" ]; then no not-a-regular-file "it is a directory"; fi
[ -f "$file" ] || no not-a-regular-file "it is a special file"
[ -r "$file" ] || no unreadable "Permission denied"
serve() {
    case $(readlink /proc/self/fd/3) in
        "$root"/*) ;;
        *) no outside "it leads out of deliverables/";;
    esac
    set -- $(stat -L -c '%f %s %d:%i' /proc/self/fd/3)
    case $1 in
        8???) ;;
        *) no not-a-regular-file "it is a special file";;
    esac
    [ "$2" -le "$limit" ] || no too-large "$2 bytes, where at most $limit are taken"
    [ -z "$expected" ] || [ "$expected" = "$2:$3" ] || no unreadable "it changed while it was read"
    printf 'ok %s %s:%s\\n' "$2" "$2" "$3"
    tail -c +$((skip + 1)) <&3 | head -c $(($2 - skip)) | $encode
}
{ serve; } 3<"$file" || no unreadable "it cannot be opened"
"""


def read_deliverable(
    workdir: str, path: str, *, limit: int, skip: int = 0, identity: str = "", encoded: bool = False
) -> str:
    """Check and read `deliverables/<path>`: a header line (see `parse_header`), then the content.

    Args:
        workdir: absolute path there.
        path: relative to `deliverables/`.
        limit: in bytes; a larger file is refused.
        skip: bytes that were received already; then `identity` must be what the first header said.
        identity: see `skip`; empty accepts any.
        encoded: send the content as base64, for channels that carry text only.

    Raises:
        DeliverableRejected: no file can have such a name.
    """
    if "\0" in path or not path:
        raise DeliverableRejected(RejectionKind.INVALID_PATH, "a file name cannot hold a NUL or be empty")
    try:
        names = path.encode().split(b"/")
    except UnicodeEncodeError as error:
        raise DeliverableRejected(RejectionKind.INVALID_PATH, str(error)) from error
    if max(map(len, names)) > NAME_BYTES:
        raise DeliverableRejected(RejectionKind.INVALID_PATH, "File name too long")
    encode = "base64" if encoded else "cat"
    return command(_READ_DELIVERABLE, workdir, path, str(limit), str(skip), identity, encode)


@dataclass(frozen=True, slots=True)
class Header:
    """What `read_deliverable` says before the content."""

    size: int
    identity: str
    """Size, device and inode, to recognise the file when reading is resumed."""


def parse_header(line: bytes) -> Header:
    """Read the first line of what `read_deliverable` prints.

    Raises:
        DeliverableRejected: the file was refused.
        ValueError: this is no such line (the shell or one of its tools is missing).
        OSError: the agent is not to blame: its workdir is gone.
    """
    verdict, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
    first, _, second = rest.partition(" ")
    if verdict == "ok":
        return Header(int(first), second)
    if verdict == "no" and first == "trouble":
        raise OSError(second)
    if verdict == "no":
        raise DeliverableRejected(RejectionKind(first), second)
    raise ValueError(f"the host's shell answered {line[:200]!r}")


_END_MARKED = """
members() {
    grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do printf '%s ' "$pid"; done
}
for signal in TERM KILL; do
    found=$(members "$1")
    [ -n "$found" ] || exit 0
    kill -$signal $found 2>/dev/null
    tries=$2
    while [ "$tries" -gt 0 ]; do
        sleep 0.1
        [ -n "$(members "$1")" ] || exit 0
        tries=$((tries - 1))
    done
done
printf 'still there: %s\\n' "$found" >&2
exit 1
"""
# The loops look ten times a second, on the other machine, and only while something is being ended.


def end_marked(variable: str, value: str, *, seconds: float) -> str:
    """End every process whose environment holds `variable=value`: TERM, then KILL, `seconds` after each at most.

    Needs a `grep` that knows `-z` and a `sleep` that takes fractions, besides.
    """
    return command(_END_MARKED, f"{variable}={value}", str(max(1, round(seconds * 10))))
