"""Why a deliverable is refused."""

from __future__ import annotations

import enum


class RejectionKind(enum.Enum):
    """Why a deliverable was refused. The values are what outcomes and JSON output show."""

    INVALID_PATH = "invalid-path"
    OUTSIDE = "outside"
    MISSING = "missing"
    NOT_REGULAR = "not-a-regular-file"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    TOO_LARGE = "too-large"
    NOT_UTF8 = "not-utf8"


class DeliverableRejected(Exception):  # noqa: N818 - named for what happened, as trio does
    """The agent announced something that cannot be delivered. The agent's fault; the reply says what is wrong.

    `kind` is the reason, `detail` the particulars (a size, the text of an error), for humans.
    """

    def __init__(self, kind: RejectionKind, detail: str) -> None:
        super().__init__(f"{kind.value}: {detail}")
        self.kind = kind
        self.detail = detail
