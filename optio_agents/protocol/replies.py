"""What the agent is told about each deliverable: exactly one reply, and each says what to do next.

Pure functions from what happened to a text. Who sends them, and when, is the session's business.
"""

from __future__ import annotations

import posixpath
from typing import Final

from optio_agents.protocol.display import display_text
from optio_agents.protocol.paths import DELIVERABLES_SUBDIR
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

ACCEPTED: Final = "accepted"
"""The first word of the reply to a deliverable that needs nothing more."""

TROUBLE: Final = (
    "it was received, but something failed on our side while it was being handled. There is nothing wrong"
    " with your file that we know of. Go on; if you are resumed later, announce it again."
)
"""The reply when the caller's own code raised."""

_DETAIL_LIMIT: Final = 200
_NAME_LIMIT: Final = 120

_ADVICE: Final = {
    RejectionKind.INVALID_PATH: (
        f"invalid deliverable path ({{detail}}). Save the file under a plain name in"
        f" ./{DELIVERABLES_SUBDIR}/ and announce"
        " that."
    ),
    RejectionKind.OUTSIDE: (
        f"invalid deliverable path: it is not under {DELIVERABLES_SUBDIR}/ ({{detail}}). Copy the file itself into"
        f" ./{DELIVERABLES_SUBDIR}/ (no link) and announce the copy."
    ),
    RejectionKind.MISSING: (
        f"no such file, or it is not under {DELIVERABLES_SUBDIR}/ ({{detail}}). Check the spelling and"
        f" that the file was written into ./{DELIVERABLES_SUBDIR}/ of the working directory in which you were"
        " started, then announce it again."
    ),
    RejectionKind.NOT_REGULAR: (
        "not a regular file ({detail}). A directory, link, pipe or device cannot be delivered: pack it"
        " into one file, or announce the files one by one."
    ),
    RejectionKind.UNREADABLE: (
        "the file is there, but may not be read ({detail}). Announcing it again will not help by itself:"
        " make it readable first (chmod u+r, and its directory u+rx)."
    ),
    RejectionKind.CHANGED: (
        "the file changed while it was being read ({detail}). Finish writing it, leave it alone, and announce it"
        " again."
    ),
    RejectionKind.TOO_LARGE: (
        "the file is too large ({detail}). Make it smaller, or split it into several files and announce"
        " each one."
    ),
    RejectionKind.NOT_UTF8: (
        "the file is not valid UTF-8 ({detail}). Save it as UTF-8 and announce it again; encode binary"
        " content as text."
    ),
}


def reply_text(path: str, reply: str) -> str:
    """The message about one deliverable, without the `System: ` that stands before it.

    Args:
        path: as the agent announced it, or relative to `deliverables/`. Only the file's name is shown:
            replies come in the order of the announcements, so the agent knows which of two it is.
        reply: one of the texts made by the other functions here.
    """
    name = display_text(posixpath.basename(path.rstrip("/")), _NAME_LIMIT)
    return f"deliverable {name or '(no name)'}: {reply}"


def rejected_reply(rejected: DeliverableRejected) -> str:
    """What was wrong with a deliverable, and what the agent can do about it."""
    return "rejected: " + _ADVICE[rejected.kind].format(detail=display_text(rejected.detail, _DETAIL_LIMIT))


def callback_reply(returned: str | None) -> str:
    """The reply that a deliverable callback's return value stands for.

    `None`, a blank string and `ok` in any case mean that all is well; any other string is the caller's own
    answer and is passed on without white space around it.

    Raises:
        TypeError: it returned anything else, which is a mistake in the callback.
    """
    if returned is not None and not isinstance(returned, str):
        raise TypeError(f"a deliverable callback returns a string or None, not {type(returned).__name__}")
    if returned is None or not returned.strip() or returned.strip().lower() == "ok":
        return ACCEPTED
    return returned.strip()


def is_accepted(reply: str) -> bool:
    """Whether this reply says that nothing more is needed."""
    return reply.split(None, 1)[:1] == [ACCEPTED]
