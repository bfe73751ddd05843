"""What hosts do not all have, and our programs there need: looked at once for each host. Sans-IO."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

PROBE = r"""
python= proc= setsid= nul_grep=
can_follow='import hashlib, select, struct, sys; print(sys.version_info >= (3, 7))'
if [ "$(python3 -I -c "$can_follow" 2>/dev/null)" = True ]; then python=1; fi
if [ -e /proc/self/stat ] && [ -e /proc/self/fd ]; then proc=1; fi
if command -v setsid >/dev/null 2>&1; then setsid=1; fi
if printf 'a\000b\000' | grep -qzxF b 2>/dev/null; then nul_grep=1; fi
"""
"""A program for a POSIX shell that sets a variable for each field of `Userland`: `1` or nothing."""

REPORT = f"""{PROBE}
printf 'python=%s proc=%s setsid=%s nul_grep=%s\\n' "$python" "$proc" "$setsid" "$nul_grep"
"""
"""Prints them, for `Userland.parse`."""


@dataclass(frozen=True, slots=True)
class Userland:
    """What a host has."""

    python: bool
    """A `python3` that can follow the log: 3.7 or later, with its standard modules."""
    proc: bool
    """`/proc` as Linux has it: processes and open files can be looked at."""
    setsid: bool
    """A command that starts a session of its own."""
    nul_grep: bool
    """A `grep` that takes lines which end with NUL (`-z`)."""

    @classmethod
    def parse(cls, output: bytes) -> Userland:
        """Read what `REPORT` prints.

        Raises:
            ValueError: it is something else.
        """
        names = [field.name for field in fields(cls)]
        found = dict(re.findall(r"(\w+)=(1?)(?:\s|$)", output.decode("utf-8", "replace")))
        if list(found) != names:
            raise ValueError(f"the host's shell answered {output[:200]!r}")
        return cls(**{name: bool(value) for name, value in found.items()})

    def variables(self) -> str:
        """A line of shell that sets the variables of `PROBE`, without looking again."""
        return " ".join(f"{field.name}={1 if getattr(self, field.name) else ''}" for field in fields(self))
