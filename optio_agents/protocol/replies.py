"""The replies to deliverables: exactly one for each announcement. Each says what the agent must do next.

Pure functions that return texts. The session decides when they are sent.
"""

from __future__ import annotations

import posixpath
from typing import Final

from optio_agents.protocol.display import display_text
from optio_agents.protocol.paths import DELIVERABLES_SUBDIR
from optio_agents.protocol.rejections import DeliverableRejected, RejectionKind

ACCEPTED: Final = "accepted"
"""The first word of a reply that asks for nothing more."""

TROUBLE: Final = (
    "the file was received, but an error occurred on our side while handling it. No fault was found in your"
    " file. Continue with your work. If your session is resumed later, announce the file again."
)
"""The reply when the caller's own code raised."""

_DETAIL_LIMIT: Final = 200
_NAME_LIMIT: Final = 120

_ADVICE: Final = {
    RejectionKind.INVALID_PATH: (
        f"invalid deliverable path ({{detail}}). Save the file under a plain name in ./{DELIVERABLES_SUBDIR}/"
        " and announce it under that name."
    ),
    RejectionKind.OUTSIDE: (
        f"invalid deliverable path: it is not under {DELIVERABLES_SUBDIR}/ ({{detail}}). Copy the file itself,"
        f" not a link, into ./{DELIVERABLES_SUBDIR}/ and announce the copy."
    ),
    RejectionKind.MISSING: (
        f"no such file, or it is not under {DELIVERABLES_SUBDIR}/ ({{detail}}). Check the spelling. Check that the"
        f" file is in ./{DELIVERABLES_SUBDIR}/ of the directory in which you were started. Then announce it again."
    ),
    RejectionKind.NOT_REGULAR: (
        "not a regular file ({detail}). Directories, links, pipes and devices cannot be delivered. Pack the"
        " content into one file, or announce each file by itself."
    ),
    RejectionKind.UNREADABLE: (
        "the file exists but cannot be read ({detail}). Announcing it again will not help by itself: make it"
        " readable first (chmod u+r on the file, chmod u+rx on its directory)."
    ),
    RejectionKind.CHANGED: (
        "the file changed while it was being read ({detail}). Finish writing it, then announce it again and do"
        " not change it until the reply arrives."
    ),
    RejectionKind.TOO_LARGE: (
        "the file is too large ({detail}). Make it smaller, or split it into several files and announce each of"
        " them."
    ),
    RejectionKind.NOT_UTF8: (
        "the file is not valid UTF-8 ({detail}). Save it as UTF-8 and announce it again. Encode binary content"
        " as text, for example in base64."
    ),
}


def reply_text(path: str, reply: str) -> str:
    """The message about one deliverable, without the prefix `System: `.

    Args:
        path: as the agent announced it, or relative to `deliverables/`. Only the file's name is shown. Replies
            are sent in the order of the announcements, so equal names stay distinguishable.
        reply: one of the texts made by the other functions here.
    """
    name = display_text(posixpath.basename(path.rstrip("/")), _NAME_LIMIT)
    return f"deliverable {name or '(no name)'}: {reply}"


def rejected_reply(rejected: DeliverableRejected) -> str:
    """Say what is wrong with a deliverable and how the agent can correct it."""
    return "rejected: " + _ADVICE[rejected.kind].format(detail=display_text(rejected.detail, _DETAIL_LIMIT))


def callback_reply(returned: str | None) -> str:
    """Translate the return value of a deliverable callback into a reply.

    `None`, a blank string and `ok` (in upper or lower case) accept the deliverable. Any other string is the
    caller's own reply; white space around it is removed.

    Raises:
        TypeError: any other value, which is a mistake in the callback.
    """
    if returned is not None and not isinstance(returned, str):
        raise TypeError(f"a deliverable callback must return a string or None, not {type(returned).__name__}")
    if returned is None or not returned.strip() or returned.strip().lower() == "ok":
        return ACCEPTED
    return returned.strip()


def is_accepted(reply: str) -> bool:
    """Whether this reply says that nothing more is needed."""
    return reply.split(None, 1)[:1] == [ACCEPTED]
