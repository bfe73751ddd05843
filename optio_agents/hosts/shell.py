"""Small programs for the POSIX shell of another machine: text out, text in, no I/O of their own.

They need `sh`, `cat`, `chmod`, `id`, `ls`, `mkdir`, `mv`, `rm`, `tail`, `wc` as POSIX defines them, any kind of
`readlink`, and `/proc`. That is any Linux with any userland. Options that differ between userlands are not used, or
are tried first. All arguments are quoted, so that a directory called `a; rm -rf b` is just a directory.

One program checks and reads a deliverable, and it checks the file that it reads: it opens the file first, and
then gets its real path, type and size from the open descriptor, through `/proc/self/fd`. A link that is
swapped between the steps has no effect.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from optio_agents.hosts.userland import PROBE
from optio_agents.protocol.paths import LOG_NAME
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

NAME_BYTES = 255
"""The longest file name on Linux."""


def command(script: str, *args: str) -> str:
    """One command line, for any login shell, that runs `script` with `$1`, `$2`, ..."""
    return shlex.join(["sh", "-c", script, "sh", *args])


SEARCH_PATH = command('printf %s "$PATH"')
"""Prints the `PATH` that commands get."""

_ENTER = """
identity() { stat -L -c %d:%i . 2>/dev/null || ls -di . | { read -r inode rest && printf '%s\\n' "$inode"; }; }
enter() { cd -P -- "$1" 2>/dev/null && { [ -z "$2" ] || [ "$(identity)" = "$2" ]; }; }
"""
# `enter DIRECTORY IDENTITY`: go there if it is still the same directory. An empty identity is any.

GONE = "the workdir is gone or was replaced"

_MAKE_WORKDIR = """
umask 077
die() { printf '%s\\n' "$1" >&2; exit 1; }
parent=${1%/*}
[ -z "$parent" ] || mkdir -p -- "$parent" || exit
[ -d "$1" ] || mkdir -- "$1" || exit
[ ! -L "$1" ] || die "$1 is a link; a directory is needed"
cd -P -- "$1" || exit
set -- "$1" $(ls -ldn .)
[ "$4" = "$(id -u)" ] || die "$1 belongs to another user (uid $4)"
chmod 700 . || exit
rm -rf ./workdir 2>/dev/null || { chmod -R u+rwX ./workdir; rm -rf ./workdir; } || exit
mkdir ./workdir || exit
"""


def make_workdir(taskdir: str) -> str:
    """Make a new, empty `taskdir/workdir`. A task directory that belongs to another user is refused."""
    return command(_MAKE_WORKDIR, taskdir)


_PIN = (
    _ENTER
    + """
cd -P -- "$1/.." || exit
for directory in . "$1"; do
    set -- "$1" $(ls -ldn -- "$directory")
    [ "$4" = "$(id -u)" ] || { printf '%s belongs to another user (uid %s)\\n' "$directory" "$4" >&2; exit 1; }
done
enter "$1" "" && identity
"""
)


def pin(workdir: str) -> str:
    """Check that a workdir and its parent are ours; print what identifies the workdir."""
    return command(_PIN, workdir)


_REMOVE = """
cd /
rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwX -- "$1"; rm -rf -- "$1"; }
"""


def remove_directory(path: str) -> str:
    """Remove a directory, read-only files included: some tools leave those."""
    return command(_REMOVE, path)


_PREPARE_CHANNEL = (
    _ENTER
    + f"""
set -eC
enter "$1" "$2" || {{ echo "{GONE}" >&2; exit 1; }}
if [ -L deliverables ] || ! [ -d deliverables ]; then rm -f deliverables; fi
mkdir -p deliverables
rm -f {LOG_NAME}
: > {LOG_NAME}
"""
)
# `set -C` opens with O_EXCL, which follows no link.


def prepare_channel(workdir: str, identity: str = "") -> str:
    """Make `deliverables/` and an empty log. A file or link of that name is removed, not followed.

    Args:
        workdir: absolute path on the host.
        identity: as `pin` printed it; empty accepts any directory. The same holds for the programs below.
    """
    return command(_PREPARE_CHANNEL, workdir, identity)


_INSTALL = (
    _ENTER
    + f"""
set -eC
enter "$1" "$2" || {{ echo "{GONE}" >&2; exit 1; }}
"""
    + """
shift
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
)


def install_scripts(workdir: str, directory: str, scripts: Mapping[str, str], identity: str = "") -> str:
    """Write executable files, name to text, into a directory of the workdir, replacing what has their names.

    One command writes all of them, because over SSH each command costs a round trip and a process. Together they are
    limited to the size of one argument (128 KiB on Linux), because the remote shell gets the command as one argument.
    """
    return command(_INSTALL, workdir, identity, directory, *chain.from_iterable(scripts.items()))


FOLLOW = (
    _ENTER
    + f"""
if ! enter "$1" "$2"; then printf 'X%s' "{GONE}"; exit 0; fi
if [ "$7" ]; then
    printf P
    exec python3 -I -c "$3" "./{LOG_NAME}" "$4" "$5" "$6"
fi
if [ -L ./{LOG_NAME} ]; then printf 'X%s' "the log is a link"; exit 0; fi
if [ -e ./{LOG_NAME} ] && ! [ -f ./{LOG_NAME} ]; then printf 'X%s' "the log is not a regular file"; exit 0; fi
printf T
tail -c +$(($4 + 1)) -F "./{LOG_NAME}" 2>/dev/null </dev/null &
cat >/dev/null
kill $!
"""
)
# `cat` ends when our side closes. `tail` would notice that only when it next prints something, or never.


def follow_log(
    workdir: str, identity: str, program: str, position: tuple[str, str, str], *, python: bool
) -> str:
    """Stream the log until standard input ends.

    The first byte is `P`, before the records of `program` (see `log.remote_follower`), if the host has a `python` for
    it. Otherwise it is `T`, before the bytes of the log, or `X`, before the reason why the log cannot be followed.
    """
    return command(FOLLOW, workdir, identity, program, *position, "1" if python else "")


def log_size(workdir: str, identity: str) -> str:
    """Print the length of the log in bytes."""
    script = (
        f'{_ENTER}enter "$1" "$2" && ! [ -L ./{LOG_NAME} ] && [ -f ./{LOG_NAME} ] && wc -c < ./{LOG_NAME}'
    )
    return command(script, workdir, identity)


_READ_DELIVERABLE = (
    _ENTER
    + f"""
watch=
no() {{ [ -z "$watch" ] || kill "$watch" 2>/dev/null; printf 'no %s %s\\n' "$1" "$2"; exit 0; }}
LC_ALL=C; export LC_ALL
enter "$1" "$7" || no trouble "{GONE}"
"""
    + """
limit=$3 skip=$4 expected=$5 encode=$6 changed=$8 beneath=${10}
[ -e /proc/self/fd/0 ] || no trouble "the host has no /proc, without which a file cannot be checked"
root=$(pwd -P)
if [ "$beneath" ]; then
    root=$root/$beneath
    if [ -L "$beneath" ]; then no outside "$beneath is a link"; fi
    cd "$beneath" 2>/dev/null || no missing "there is no $beneath directory"
fi
outside="it leads out of ${beneath:-the workdir}"
file=./$2
case $(readlink -f -- "$file" 2>/dev/null) in
    "$root"/*) ;;
    "") [ -e "$file" ] || no missing "No such file or directory";;
    *) no outside "$outside";;
esac
[ -e "$file" ] || no missing "No such file or directory"
if [ -d "$file" ]; then no not-a-regular-file "it is a directory"; fi
[ -f "$file" ] || no not-a-regular-file "it is a special file"
[ -r "$file" ] || no unreadable "Permission denied"
identify() {
    stat -L -c %s:%i:%y /proc/self/fd/3 2>/dev/null && return
    set -- $(ls -iL /proc/self/fd/3) $(cksum </proc/self/fd/3)
    printf '%s:%s:%s\n' "$4" "$1" "$3"
}
serve() {
    opened=$(readlink /proc/self/fd/3) || no trouble "the host has no readlink"
    case $opened in
        "$root"/*) ;;
        *) no outside "$outside";;
    esac
    [ -f /proc/self/fd/3 ] || no not-a-regular-file "it is a special file"
    found=$(identify)
    size=${found%%:*}
    case $size in
        ""|*[!0-9]*) no trouble "the host has neither stat nor cksum";;
    esac
    [ "$size" -le "$limit" ] || no too-large "$size bytes, where at most $limit are taken"
    [ -z "$expected" ] || [ "$expected" = "$found" ] || no changed "it changed while it was read"
    printf 'ok %s %s\n' "$size" "$found"
    rest() { tail -c +$((skip + 1)) </proc/self/fd/3 | head -c $((size - skip)); }
    if [ "$encode" ]; then rest | base64; else rest; fi
    [ "$(identify)" = "$found" ] || exit "$changed"
    exit 0
}
if [ "$9" ]; then
    exec 4<&0
    { read -r _ <&4; kill -s KILL $$; } >/dev/null 2>&1 &
    watch=$!
fi
{ [ -z "$watch" ] || kill "$watch" 2>/dev/null; exec 4<&-; serve; } 3<"$file" || no unreadable "it cannot be opened"
"""
)
# Reopening through /proc/self/fd begins at offset 0 of the very file that was opened.

CHANGED_STATUS = 7
"""The exit status that says that the file changed while it was read: what was sent may be a mixture."""

CHANGED = "it was written to while it was read"


def read_deliverable(
    workdir: str,
    path: str,
    *,
    limit: int,
    skip: int = 0,
    identity: str = "",
    encoded: bool = False,
    pinned: str = "",
    held: bool = False,
    beneath: str = "deliverables",
) -> str:
    """Check and read `<beneath>/<path>`: a header line (see `parse_header`), then the content. The exit status is
    `CHANGED_STATUS` if the file changed meanwhile.

    Args:
        workdir: absolute path on the host.
        path: relative to `beneath`, which it must not leave.
        limit: in bytes; a larger file is refused.
        skip: number of bytes received already; `identity` must then be the one of the first header.
        identity: see `skip`; empty accepts any.
        encoded: send the content as base64, for channels that carry text only.
        pinned: what identifies the workdir, see `pin`; empty accepts any.
        beneath: a directory of the workdir; empty: the workdir itself.
        held: standard input stays open, and a line on it, or its end, gives up an opening that hangs.

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
    flags = ("1" if encoded else "", pinned, str(CHANGED_STATUS), "1" if held else "", beneath)
    return command(_READ_DELIVERABLE, workdir, path, str(limit), str(skip), identity, *flags)


_PLACE = """
cd -P -- "$1" || exit
staged=$2 name=$3 root=$(pwd -P)
shift 3
for directory do
    mkdir -p -- "./$directory" && cd -P -- "./$directory" || exit
    case $(pwd -P) in
        "$root" | "$root"/*) ;;
        *) printf '%s\\n' "$directory leads out of the workdir" >&2; exit 1 ;;
    esac
done
mv -f -T -- "$staged" "./$name"
"""


def place(workdir: str, path: str, staged: str) -> str:
    """Move a file to `path`, relative to the workdir, in one step. Directories on its way are made.

    What has that name is replaced, also a link; a link on its way that leads out of the workdir is refused.
    """
    *directories, name = [part for part in path.split("/") if part not in ("", ".")]
    return command(_PLACE, workdir, staged, name, *directories)


_DIGEST = """
cd -P -- "$1" && root=$(pwd -P) || exit
case $(readlink -f -- "./$2") in "$root"/*) ;; *) exit ;; esac
if [ -f "./$2" ] && ! [ -L "./$2" ]; then sha256sum <"./$2"; fi
"""


def digest(workdir: str, path: str) -> str:
    """Print the SHA-256 of a file beneath the workdir, or nothing."""
    return command(_DIGEST, workdir, path)


@dataclass(frozen=True, slots=True)
class Header:
    """The line that `read_deliverable` prints before the content."""

    size: int
    identity: str
    """Size, inode and modification time, to recognise the file and the version when reading is resumed."""


def parse_header(line: bytes) -> Header:
    """Read the first line of what `read_deliverable` prints.

    Raises:
        DeliverableRejected: the file was refused.
        ValueError: this is no such line (the shell or one of its tools is missing).
        OSError: the agent is not to blame: its workdir is gone.
    """
    verdict, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
    first, _, second = rest.partition(" ")
    if verdict == "ok" and first.isascii() and first.isdigit():
        return Header(int(first), second)
    if verdict == "no" and first == "trouble":
        raise OSError(second)
    if verdict == "no":
        raise DeliverableRejected(RejectionKind(first), second)
    raise ValueError(f"the host's shell answered {line[:200]!r}")


MEMBERS = r"""
marked() {
    [ "$proc" ] || return 0
    if [ "$nul_grep" ]; then
        grep -lzxF "$mark" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do echo "$pid"; done
        return
    fi
    for environ in /proc/[0-9]*/environ; do
        pid=${environ#/proc/}
        if tr '\000' '\n' <"$environ" 2>/dev/null | grep -qxF "$mark"; then echo "${pid%/environ}"; fi
    done
}
processes() {
    if [ "$proc" ]; then cat /proc/[0-9]*/stat 2>/dev/null; return; fi
    ps -A -o pid= -o stat= -o ppid= -o pgid= 2>/dev/null | while read -r pid stat parent group; do
        echo "$pid () $stat $parent $group $group"
    done
}
members() {
    processes | awk -v marked="$(marked | tr '\n' ' ')" -v sessions="$sessions" -v roots="$roots" '
        { line = $0; sub(/^.*\) /, "", line); split(line, field, " ")
          if (field[1] !~ /^[ZX]/) { parent[$1] = field[2]; session[$1] = field[4] } }
        END { count = split(marked, list, " "); for (i = 1; i <= count; i++) found[list[i]] = 1
              count = split(sessions, list, " "); for (i = 1; i <= count; i++) ours[list[i]] = 1
              count = split(roots, list, " "); for (i = 1; i <= count; i++) found[list[i]] = 1
              do { again = 0
                   for (pid in parent) {
                       if (!(pid in found) && ((parent[pid] in found) || (session[pid] in ours))) {
                           found[pid] = 1; again = 1 }
                       if ((pid in found) && session[pid] == pid && !(pid in ours)) { ours[pid] = 1; again = 1 } }
              } while (again)
              for (pid in found) if (pid in parent) printf "%s ", pid }' || { marked | tr '\n' ' '; }
}
pause() { sleep 0.1 2>/dev/null || sleep 1; }
end_members() {
    for signal in TERM KILL; do
        found=$(members)
        [ -n "$found" ] || return 0
        # Where only their parents tell whose they are, those that outlive these are remembered.
        [ "$proc" ] || roots="$roots $found"
        kill -s "$signal" $found 2>/dev/null
        [ "$signal" = KILL ] || kill -s CONT $found 2>/dev/null
        tries=$1
        while [ "$tries" -gt 0 ]; do
            pause
            [ -n "$(members)" ] || return 0
            tries=$((tries - 1))
        done
    done
    return 1
}
"""
"""Shell functions that find and end the processes of an agent.

`$mark` is the variable that all of them have in their environment, `$sessions` the sessions known to be theirs,
`$roots` processes known to be theirs; the variables of `userland.PROBE` say what the host has. Without `/proc` there
are no marks, and process groups stand for sessions, as `ps` of POSIX lists them.
Members are what carries the mark, what is in such a session, and the children and the sessions of members: what was
started with an empty environment is found as well, unless it has opened a session of its own and lost its parent.
`end_members TENTHS` sends TERM, then KILL, and waits so long after each.
"""

_END_MARKED = (
    PROBE
    + MEMBERS
    + r"""
mark=$1 sessions= roots=
[ "$proc" ] || { echo "the host has no /proc: what the agent left may still be running" >&2; exit 1; }
end_members "$2" || { printf 'still running: %s\n' "$(members)" >&2; exit 1; }
"""
)


def end_marked(variable: str, value: str, *, seconds: float) -> str:
    """End every process whose environment holds `variable=value`, with what they have started: TERM, then KILL,
    `seconds` after each at most. Checks ten times a second, on the host, while something is being ended.
    """
    return command(_END_MARKED, f"{variable}={value}", str(max(1, round(seconds * 10))))
