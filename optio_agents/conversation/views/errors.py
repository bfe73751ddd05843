"""How an agent failed, in kinds that every backend shares."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ErrorKind(enum.Enum):
    """The kinds of errors of an agent, by what the user can do about them."""

    AUTHENTICATION = "authentication"
    """Log in, or give another key."""
    OVERLOAD = "overload"
    """The model's service is busy or failing: try again later."""
    LIMIT = "limit"
    """A rate, a quota, a budget, a number of steps or the context is used up."""
    REFUSAL = "refusal"
    """The model or its provider declines."""
    INVALID_REQUEST = "invalid request"
    """The request itself is wrong (a model that does not exist, a malformed prompt)."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class AgentError:
    """The agent failed, or fails and tries again.

    A failure that ends a turn is reported once, by the event that ends the turn. `status` is the HTTP status of the
    model's service, if known.
    """

    kind: ErrorKind
    message: str
    status: int | None = None
    will_retry: bool = False


STATUSES = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.LIMIT,
    403: ErrorKind.AUTHENTICATION,
    404: ErrorKind.INVALID_REQUEST,
    413: ErrorKind.INVALID_REQUEST,
    422: ErrorKind.INVALID_REQUEST,
    429: ErrorKind.LIMIT,
}
"""What the HTTP statuses of the models' services mean; 500 and above are `OVERLOAD`."""


def kind_of_status(status: int | None) -> ErrorKind:
    """What an HTTP status means; `OTHER` if there is none."""
    if status is not None and 500 <= status <= 599:
        return ErrorKind.OVERLOAD
    return ErrorKind.OTHER if status is None else STATUSES.get(status, ErrorKind.OTHER)
