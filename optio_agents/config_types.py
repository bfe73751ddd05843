"""The fields that the task configs of all agent packages share, one mixin per subject.

A config inherits the mixins that it offers and calls their `_validate_*` methods in its `__post_init__`:

    @dataclass(frozen=True)
    class MyTaskConfig(ClaustrumConfigMixin, WelcomeConfigMixin):
        command: str = "my-agent"

        def __post_init__(self) -> None:
            self._validate_claustrum()
            self._validate_welcome()

A config that does not call them is validated all the same when it is constructed, after its own `__post_init__`. What a
mixin derives from its fields (`settable_controls`, `seed_encrypt`, `welcome_widget_data`, and the sandbox's grants in
`optio_agents.fs_grants`) validates them once more, because a list in a field may have changed since.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from optio_agents.session_controls import validate_session_controls
from optio_agents.text import Text, check_text

ConversationMode = Literal["iframe", "conversation"]
"""How the dashboard shows the agent: its own web page or terminal in a frame, or a conversation view."""

ToolVerbosity = Literal["silent", "description-while-active", "description-only", "verbose"]
"""How much of each tool call the conversation view shows."""

TOOL_VERBOSITIES: frozenset[str] = frozenset(get_args(ToolVerbosity))

ThinkingVerbosity = Literal["hidden", "visible"]
"""Whether the conversation view shows the agent's reasoning."""

SeedProvider: TypeAlias = Callable[[str], Awaitable[str]]
"""`await provider(process_id)` chooses the seed that a session starts from and returns its id.

It raises `SeedUnavailableError` when there is none at present.
"""

AccessMode = Literal["ro", "rw", "rox", "rwx"]
"""What a sandboxed agent may do beneath a directory: read, write, execute."""

BlobTransform: TypeAlias = Callable[[bytes], bytes]
"""Encrypts or decrypts a whole blob; synchronous."""


VALIDATORS: Final = (
    "_validate_claustrum",
    "_validate_blob_crypto",
    "_validate_session_controls",
    "_validate_welcome",
)
"""The methods of the mixins that need nothing but the config."""


class CheckedConfig:
    """A config that is validated when it is constructed, whether or not its class calls the mixins' methods.

    The mixins themselves are no configs, and are constructed without a check.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Add the check to the class's own `__post_init__`."""
        super().__init_subclass__(**keywords)
        own = vars(cls).get("__post_init__")
        if own is None or hasattr(own, "_checks_config"):
            return

        @functools.wraps(own)
        def post_init(self: CheckedConfig, *arguments: Any) -> None:
            own(self, *arguments)
            self._check()

        setattr(post_init, "_checks_config", True)  # noqa: B010 - a class with slots is made twice
        cls.__post_init__ = post_init  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Validate the fields of all mixins."""
        self._check()

    def _check(self) -> None:
        if type(self).__module__ == __name__:
            return
        for name in VALIDATORS:
            getattr(self, name, _nothing)()


def _nothing() -> None:
    pass


class SeedUnavailableError(Exception):
    """No seed can be had now (all are leased, or none is alive). Raised by a `SeedProvider`."""


@dataclass(frozen=True)
class AllowedDir:
    """A directory beyond its workdir that a sandboxed agent may use.

    Attributes:
        path: on the agent's host: absolute, or `~` or `~/...` for the home of the host's user.
        mode: `ro`, `rw`, `rox` or `rwx`.

    Raises:
        ValueError: another mode; a path that is empty, relative, has `..` or a control character in it, or names
            another user's home (`~bob`).
    """

    path: str
    mode: AccessMode

    def __post_init__(self) -> None:
        """Check both fields; the value cannot change afterwards."""
        if self.mode not in get_args(AccessMode):
            modes = ", ".join(get_args(AccessMode))
            raise ValueError(f"AllowedDir.mode must be one of {modes}, not {self.mode!r}")
        check_grant_path(self.path, what="AllowedDir.path")


def check_grant_path(path: Any, *, what: str) -> None:
    """Refuse a path that would grant something else than it says.

    Raises:
        ValueError: as for `AllowedDir`.
    """
    if not isinstance(path, str) or not (path == "~" or path.startswith(("/", "~/"))):
        raise ValueError(f"{what} must be absolute or begin with ~/ (the host user's own home), not {path!r}")
    if not path.isprintable():
        raise ValueError(f"{what} has a control character in it: {path!r}")
    if ".." in path.split("/"):
        raise ValueError(f"{what} must not contain '..': {path!r}")


@dataclass(frozen=True)
class ClaustrumConfigMixin(CheckedConfig):
    """The file-system sandbox (`optio_agents.claustrum`).

    Attributes:
        fs_isolation: confine the agent to its workdir, its program, and `extra_allowed_dirs`.
        extra_allowed_dirs: further directories.
        delivery_type: the directory beneath `deliverables/` under which a notice of a newer sandbox release is
            delivered. Required with `fs_isolation`.
    """

    fs_isolation: bool = True
    extra_allowed_dirs: list[AllowedDir] | None = None
    delivery_type: str | None = None

    def _validate_claustrum(self) -> None:
        name = type(self).__name__
        if self.fs_isolation and not _is_text(self.delivery_type):
            raise ValueError(
                f"{name}: fs_isolation requires delivery_type, the directory for notices about the sandbox: "
                "set it, or set fs_isolation=False to run the agent unconfined"
            )
        if not isinstance(self.extra_allowed_dirs, (list, tuple, type(None))):
            raise ValueError(f"{name}.extra_allowed_dirs must be a list of AllowedDir")
        for entry in self.extra_allowed_dirs or ():
            mode = getattr(entry, "mode", None)
            if mode not in get_args(AccessMode):
                raise ValueError(f"{name}.extra_allowed_dirs: {entry!r} is no AllowedDir (mode {mode!r})")
            check_grant_path(getattr(entry, "path", None), what=f"{name}.extra_allowed_dirs: path")


@dataclass(frozen=True)
class BlobCryptoConfigMixin(CheckedConfig):
    """Encryption of what is stored: snapshots of sessions, and seeds.

    Attributes:
        session_blob_encrypt, session_blob_decrypt: for session snapshots, and for seeds without a pair of their own.
        seed_blob_encrypt, seed_blob_decrypt: for seeds.
    """

    session_blob_encrypt: BlobTransform | None = None
    session_blob_decrypt: BlobTransform | None = None
    seed_blob_encrypt: BlobTransform | None = None
    seed_blob_decrypt: BlobTransform | None = None

    @property
    def seed_encrypt(self) -> BlobTransform | None:
        """What encrypts seeds; `None` stores them as they are."""
        self._validate_blob_crypto()
        return self.seed_blob_encrypt or self.session_blob_encrypt

    @property
    def seed_decrypt(self) -> BlobTransform | None:
        """What decrypts seeds."""
        self._validate_blob_crypto()
        return self.seed_blob_decrypt or self.session_blob_decrypt

    def _validate_blob_crypto(self) -> None:
        for kind in ("session", "seed"):
            encrypt, decrypt = f"{kind}_blob_encrypt", f"{kind}_blob_decrypt"
            if (getattr(self, encrypt) is None) is not (getattr(self, decrypt) is None):
                raise ValueError(
                    f"{type(self).__name__}: {encrypt} and {decrypt} belong together: give both or neither"
                )


@dataclass(frozen=True)
class SessionControlsConfigMixin(CheckedConfig):
    """Which of the agent's own selectors (model, effort, ...) the conversation view offers.

    Attributes:
        show_session_controls: show the bar.
        session_controls: the ids to show; `None` shows all.
    """

    show_session_controls: bool = False
    session_controls: list[str] | None = None

    @property
    def settable_controls(self) -> list[str] | None:
        """The ids that may be set: none while the bar is hidden; `None` means all."""
        self._validate_session_controls()
        return self.session_controls if self.show_session_controls else []

    def _validate_session_controls(self) -> None:
        validate_session_controls(
            self.session_controls,
            show_session_controls=self.show_session_controls,
            owner=type(self).__name__,
        )


@dataclass(frozen=True)
class WelcomeCard:
    """What the conversation view shows before the first message.

    Attributes:
        title: the heading.
        description: a paragraph.
        icon: the URL of an image, or a path on the dashboard's server.
        min_height: of the card, in CSS pixels.

    Raises:
        ValueError: a field is empty, blank or of the wrong type.
    """

    title: Text
    description: Text | None = None
    icon: str | None = None
    min_height: int | None = None

    def __post_init__(self) -> None:
        """Check all fields."""
        title = check_text(self.title, what="WelcomeCard.title")
        if any(not entry.strip() for entry in ([title] if isinstance(title, str) else title.values())):
            raise ValueError(f"WelcomeCard.title is blank: {title!r}")
        object.__setattr__(self, "title", title)
        if self.description is not None:
            description = check_text(self.description, what="WelcomeCard.description")
            object.__setattr__(self, "description", description)
        if self.icon is not None and not _is_text(self.icon):
            raise ValueError(f"WelcomeCard.icon must be a URL, a path or None, not {self.icon!r}")
        height = self.min_height
        if height is not None and (type(height) is not int or height <= 0):
            raise ValueError(
                f"WelcomeCard.min_height must be a positive int (pixels) or None, not {height!r}"
            )

    def to_widget_data(self) -> dict[str, Any]:
        """The card as the dashboard reads it. A relative `icon` becomes a path on the dashboard's server."""
        icon = self.icon
        if icon is not None and "://" not in icon and not icon.startswith("/"):
            icon = f"/{icon}"
        return {
            "title": self.title,
            "description": self.description,
            "icon": icon,
            "minHeight": self.min_height,
        }


@dataclass(frozen=True)
class WelcomeConfigMixin(CheckedConfig):
    """The welcome card of the conversation view; `None` for none."""

    welcome: WelcomeCard | None = None

    @property
    def welcome_widget_data(self) -> dict[str, Any] | None:
        """The card as the dashboard reads it."""
        self._validate_welcome()
        return None if self.welcome is None else self.welcome.to_widget_data()

    def _validate_welcome(self) -> None:
        if not isinstance(self.welcome, (WelcomeCard, type(None))):
            raise ValueError(
                f"{type(self).__name__}.welcome must be a WelcomeCard or None, not {type(self.welcome).__name__}"
            )


@dataclass(frozen=True, kw_only=True)
class ResumeConfigMixin:
    """How a suspended session comes back.

    Attributes:
        smooth_resume: a message to a suspended session resumes it without asking the user first.
    """

    smooth_resume: bool = False


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
