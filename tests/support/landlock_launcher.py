"""A launcher with claustrum's command line that really confines, by Landlock: `[flags] -- command...`."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
ALL = (1 << 13) - 1  # what the first version of Landlock knows
READ = READ_FILE | READ_DIR
RIGHTS = {"--ro": READ, "--rox": READ | EXECUTE, "--rw": ALL & ~EXECUTE, "--rwx": ALL}
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    result = _libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def available() -> bool:
    """Whether this kernel confines."""
    try:
        return call(_CREATE_RULESET, None, 0, 1) >= 1
    except OSError:
        return False


def confine(grants: list[tuple[str, str]]) -> None:
    handled = struct.pack("Q", ALL)
    rules = call(_CREATE_RULESET, handled, len(handled), 0)
    for flag, path in grants:
        try:
            place = os.open(path, os.O_PATH)
        except FileNotFoundError:
            continue
        rights = RIGHTS[flag] if os.path.isdir(path) else RIGHTS[flag] & OF_FILES
        call(_ADD_RULE, rules, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call(_RESTRICT_SELF, rules, 0)


if __name__ == "__main__":
    end = sys.argv.index("--")
    flags = [word for word in sys.argv[1:end] if word not in ("--best-effort", "--abi-min", "1")]
    confine(list(zip(flags[::2], flags[1::2], strict=True)))
    os.execv(sys.argv[end + 1], sys.argv[end + 1 :])
