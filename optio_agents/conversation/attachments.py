"""What a message carries beside its text: images and files, and the schema of the answer. Plain values."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from optio_agents.conversation.sendable import check_text

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of all attachments of a message. Models' services take less (5 MB for an image is usual)."""

TEXT_TYPES = (
    "application/json",
    "application/xml",
    "application/yaml",
    "application/toml",
    "application/javascript",
)
"""The media types that are texts and do not begin with `text/`."""


@dataclass(frozen=True)
class Attachment:
    """An image or a file of a message.

    Args:
        name: What the model is shown as its name.
        media_type: For example `image/png`, `text/plain`, `application/pdf`. Images are those of `image/...`.
        data: Its bytes.

    Raises:
        TypeError, ValueError: it cannot be sent. The text says why.
    """

    name: str
    media_type: str
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no agent could read."""
        check_text("the name of an attachment", self.name)
        if not isinstance(self.data, bytes):
            raise TypeError(f"the data of an attachment is bytes, not {type(self.data).__name__}")
        if "/" not in check_text("media_type", self.media_type):
            raise ValueError(f"{self.media_type!r} is no media type, as image/png is one")
        if self.is_text:
            try:
                self.data.decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"the attachment {self.name!r} is no UTF-8 text: {error}") from None

    @staticmethod
    def of(path: str | Path, media_type: str | None = None) -> Attachment:
        """Read a file. Its media type follows from its name, if it is not given; an unknown one is `text/plain`.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no text, and its name does not tell its media type.
        """
        file = Path(path)
        guessed = media_type or mimetypes.guess_type(file.name)[0] or "text/plain"
        return Attachment(file.name, guessed, file.read_bytes())

    @property
    def is_image(self) -> bool:
        """Whether models see it as a picture."""
        return self.media_type.startswith("image/")

    @property
    def is_text(self) -> bool:
        """Whether models read it as a text."""
        return self.media_type.startswith("text/") or self.media_type in TEXT_TYPES

    @property
    def base64(self) -> str:
        """Its data, as it travels in JSON."""
        return base64.b64encode(self.data).decode()


class Extras(NamedTuple):
    """What a message carries beside its text."""

    attachments: tuple[Attachment, ...] = ()
    schema: Mapping[str, Any] | None = None
    """The JSON schema of the answer."""
    name: str | None = None
    """Its owner's id for it."""

    @property
    def images(self) -> tuple[Attachment, ...]:
        """The attachments that are images."""
        return tuple(each for each in self.attachments if each.is_image)

    @property
    def files(self) -> tuple[Attachment, ...]:
        """The attachments that are none."""
        return tuple(each for each in self.attachments if not each.is_image)


NO_EXTRAS = Extras()


def checked_attachments(attachments: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Return `attachments` as a tuple.

    Raises:
        TypeError: one is no `Attachment`.
        ValueError: together they are larger than `SIZE_LIMIT`.
    """
    checked = tuple(attachments)
    for each in checked:
        if not isinstance(each, Attachment):
            raise TypeError(f"attachments has Attachment values, not {type(each).__name__}")
    size = sum(len(each.data) for each in checked)
    if size > SIZE_LIMIT:
        raise ValueError(f"the attachments have {size} bytes; at most {SIZE_LIMIT} can be sent")
    return checked
