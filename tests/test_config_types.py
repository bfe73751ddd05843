from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from optio_agents.config_types import (
    TOOL_VERBOSITIES,
    AllowedDir,
    BlobCryptoConfigMixin,
    ClaustrumConfigMixin,
    ResumeConfigMixin,
    SessionControlsConfigMixin,
    WelcomeCard,
    WelcomeConfigMixin,
)
from optio_agents.custom_controls import CustomControlsConfigMixin
from optio_agents.fs_grants import fs_isolation_dirs
from optio_agents.mcp import McpConfigMixin


@dataclass(frozen=True)
class Config(
    ClaustrumConfigMixin,
    BlobCryptoConfigMixin,
    SessionControlsConfigMixin,
    McpConfigMixin,
    CustomControlsConfigMixin,
    ResumeConfigMixin,
    WelcomeConfigMixin,
):
    """What an agent package declares; it calls no validation."""


def same(data: bytes) -> bytes:
    return data


def test_the_mixins_make_one_frozen_config() -> None:
    config = Config(fs_isolation=False, smooth_resume=True)
    assert config.smooth_resume
    with pytest.raises(FrozenInstanceError):
        config.welcome = None  # type: ignore[misc]


@pytest.mark.parametrize("mode", ["ro", "rw", "rox", "rwx"])
@pytest.mark.parametrize("path", ["/", "/data", "~", "~/cache"])
def test_allowed_directories(path: str, mode: Any) -> None:
    assert AllowedDir(path, mode) == AllowedDir(path=path, mode=mode)


@pytest.mark.parametrize("path", ["", "data", "./data", "~bob/x", "/a/../b", "/a\n# heading", None])
def test_a_path_that_would_grant_something_else_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match=r"AllowedDir\.path"):
        AllowedDir(path, "ro")


def test_an_allowed_directory_does_not_change_after_its_check() -> None:
    with pytest.raises(ValueError, match="'x'"):
        AllowedDir("/data", "x")  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        AllowedDir("/data", "ro").mode = "x"  # type: ignore[misc,assignment]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"delivery_type": " "},
        {"delivery_type": "notices", "extra_allowed_dirs": ["/data"]},
        {"delivery_type": "notices", "extra_allowed_dirs": "/data"},
    ],
)
def test_the_sandbox_s_fields_are_checked_and_checked_again_where_they_are_used(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"delivery_type|extra_allowed_dirs"):
        Config(**fields)
    with pytest.raises(ValueError, match=r"delivery_type|extra_allowed_dirs"):
        fs_isolation_dirs(ClaustrumConfigMixin(**fields), "/work")


def test_a_config_that_forgets_to_validate_is_validated_when_it_is_constructed() -> None:
    @dataclass(frozen=True)
    class Forgetful(ClaustrumConfigMixin, WelcomeConfigMixin):
        extra: str = ""

        def __post_init__(self) -> None:
            object.__setattr__(self, "extra", self.extra.strip())

    @dataclass(frozen=True, slots=True)
    class Derived(Forgetful):
        more: int = 0

    for kind in (Forgetful, Derived):
        assert kind(fs_isolation=False, extra=" x ").extra == "x"
        with pytest.raises(ValueError, match=f"{kind.__name__}: fs_isolation requires delivery_type"):
            kind()
        with pytest.raises(ValueError, match=f"{kind.__name__}.welcome must be a WelcomeCard"):
            kind(fs_isolation=False, welcome="hello")  # type: ignore[arg-type]


def test_its_own_errors_come_before_those_of_the_mixins() -> None:
    @dataclass(frozen=True)
    class Own(ClaustrumConfigMixin):
        def __post_init__(self) -> None:
            raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        Own()


@pytest.mark.parametrize("field", ["session_blob_encrypt", "seed_blob_decrypt"])
def test_half_a_pair_of_transforms_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"Config: {field.split('_', maxsplit=1)[0]}_blob_encrypt"):
        Config(fs_isolation=False, **{field: same})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="belong together"):
        _ = BlobCryptoConfigMixin(**{field: same}).seed_encrypt


def test_seeds_use_the_session_s_pair_unless_they_have_one() -> None:
    def other(data: bytes) -> bytes:
        return data

    session = BlobCryptoConfigMixin(session_blob_encrypt=same, session_blob_decrypt=same)
    assert session.seed_encrypt is session.seed_decrypt is same
    both = BlobCryptoConfigMixin(same, same, other, other)
    assert both.seed_encrypt is both.seed_decrypt is other
    assert BlobCryptoConfigMixin().seed_encrypt is None


@pytest.mark.parametrize(
    ("shown", "listed", "settable"),
    [(False, None, []), (True, None, None), (True, ["model"], ["model"]), (True, [], [])],
)
def test_controls_that_may_be_set(shown: bool, listed: list[str] | None, settable: list[str] | None) -> None:
    config = SessionControlsConfigMixin(show_session_controls=shown, session_controls=listed)
    assert config.settable_controls == settable


@pytest.mark.parametrize(
    ("shown", "listed"), [(False, ["model"]), (True, "model"), (True, [""]), (True, [1])]
)
def test_an_unusable_list_of_controls_is_refused_where_it_is_used(shown: bool, listed: Any) -> None:
    config = SessionControlsConfigMixin(show_session_controls=shown, session_controls=listed)
    with pytest.raises(ValueError, match="session_controls"):
        _ = config.settable_controls


def test_a_welcome_card_as_the_dashboard_reads_it() -> None:
    card = WelcomeCard({"en": "Hello"}, icon="static/x.png", min_height=200)
    assert WelcomeConfigMixin(welcome=card).welcome_widget_data == {
        "title": {"en": "Hello"},
        "description": None,
        "icon": "/static/x.png",
        "minHeight": 200,
    }
    assert WelcomeCard("t", icon="https://example.org/x.png").to_widget_data()["icon"].startswith("https:")
    assert WelcomeConfigMixin().welcome_widget_data is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": {"en": "x", "hu": " "}}, "title"),
        ({"title": 3}, "title"),
        ({"title": "x", "description": ""}, "description"),
        ({"title": "x", "icon": " "}, "icon"),
        ({"title": "x", "min_height": 0}, "min_height"),
        ({"title": "x", "min_height": True}, "min_height"),
    ],
)
def test_an_unusable_field_of_a_card_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"WelcomeCard.{field}"):
        WelcomeCard(**fields)


def test_what_is_no_card_is_refused_where_it_is_used() -> None:
    with pytest.raises(ValueError, match=r"WelcomeConfigMixin\.welcome"):
        _ = WelcomeConfigMixin(welcome="hello").welcome_widget_data  # type: ignore[arg-type]


def test_the_known_verbosities() -> None:
    assert {"silent", "description-while-active", "description-only", "verbose"} == TOOL_VERBOSITIES
