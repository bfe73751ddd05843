"""Rules that decide an agent's permission requests: `Read`, `mcp__*`, `Bash(git *)`. Values, no I/O.

A rule names a tool, and in parentheses what the tool may do. Both are patterns in which `*` matches anything. A denial
takes precedence over a permission. A shell command that could contain a second command matches no pattern: `git *` must
not allow `git status; rm -rf ~`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optio_agents.conversation import PermissionDecision, PermissionRequest

_RULE = re.compile(r"([^()\s]+)(?:\((.*)\))?", re.DOTALL)
_SUBJECTS = ("command", "cmd", "file_path", "path", "notebook_path", "url", "query", "pattern")
_SHELL_META = re.compile(r"[;&|<>`$\n\r()\\{}]")


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """One rule.

    Attributes:
        tool: a pattern for the name of the tool.
        subject: a pattern for what the tool would do (a command line, a path, an address); `None` matches anything.
    """

    tool: str
    subject: str | None = None

    @classmethod
    def parse(cls, text: str) -> PermissionRule:
        """Read `Tool` or `Tool(pattern)`.

        Raises:
            ValueError: it is neither.
        """
        found = _RULE.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"not a rule: {text!r} (write for example Read, Edit(src/*) or 'Bash(git *)')")
        return cls(found[1], found[2])

    def __str__(self) -> str:
        return self.tool if self.subject is None else f"{self.tool}({self.subject})"

    def fits(self, request: PermissionRequest) -> bool:
        """Whether the rule is about `request`."""
        if not fnmatch.fnmatchcase(request.tool_name, self.tool):
            return False
        if self.subject is None:
            return True
        subject = subject_of(request.input)
        return subject is not None and fnmatch.fnmatchcase(subject, self.subject)

    def allows(self, request: PermissionRequest) -> bool:
        """Whether the rule, as a permission, covers everything that `request` would do."""
        if self.subject is None or self.subject == "*":
            return self.fits(request)
        subject = subject_of(request.input)
        if subject is None or not self.fits(request):
            return False
        return not _SHELL_META.search(subject) and ".." not in subject.split("/")


@dataclass(frozen=True, slots=True)
class PermissionRules:
    """All rules of a run."""

    allow: Sequence[PermissionRule] = ()
    """Allowed until the session of the agent ends, where the agent knows that."""
    once: Sequence[PermissionRule] = ()
    """Allowed each time, one request at a time."""
    deny: Sequence[PermissionRule] = ()

    def decide(self, request: PermissionRequest) -> PermissionDecision | None:
        """The decision of the rules; `None` if no rule matches."""
        for rule in self.deny:
            if rule.fits(request):
                return PermissionDecision("deny", message=f"the rule {rule} denies this")
        if any(rule.allows(request) for rule in self.allow):
            return PermissionDecision(
                "allow", scope="session" if _is_general(self.allow, request) else "once"
            )
        if any(rule.allows(request) for rule in self.once):
            return PermissionDecision("allow")
        return None

    @property
    def text(self) -> str:
        """The permissions, for a message."""
        return ", ".join(str(rule) for rule in (*self.allow, *self.once)) or "none"


def subject_of(given: dict[str, Any]) -> str | None:
    """What a tool would do, if that is one text; `None` if it is unknown."""
    for name in _SUBJECTS:
        value = given.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return " ".join(value)
    return None


def _is_general(rules: Sequence[PermissionRule], request: PermissionRequest) -> bool:
    """Whether a rule without a subject matches. Only then may the agent stop asking about the tool."""
    return any(rule.subject is None and rule.allows(request) for rule in rules)
