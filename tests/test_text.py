from __future__ import annotations

from typing import Any

import pytest

from optio_agents.text import check_text, resolve_text


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("", "F must not be empty"),
        ({}, "F must have at least one language entry"),
        ({"en": ""}, r"F\['en'\] must be a non-empty string"),
        ({"en": 1}, r"F\['en'\] must be a non-empty string"),
        ({"": "x"}, "F: language codes must be non-empty strings"),
        ({1: "x"}, "F: language codes must be non-empty strings"),
        (7, "F must be a string or a map of language code to string, got int"),
        (None, "F must be a string or a map of language code to string, got NoneType"),
    ],
)
def test_what_is_no_text_is_refused(value: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        check_text(value, what="F")


def test_a_mapping_is_copied() -> None:
    given = {"en": "Hello"}
    checked = check_text(given, what="F")
    given["en"] = ""
    assert checked == {"en": "Hello"}


@pytest.mark.parametrize(
    ("text", "language", "chosen"),
    [
        ("as it is", "hu", "as it is"),
        ({"en": "e", "hu": "h"}, "hu", "h"),
        ({"en": "e", "hu": "h"}, "hu-HU", "h"),
        ({"en": "e", "zh-Hant": "z"}, "zh-hant-TW", "z"),
        ({"en": "e", "pt-BR": "p"}, "pt_br", "p"),
        ({"en": "e", "hu": "h"}, "de", "e"),
        ({"en": "e", "hu": "h"}, None, "e"),
        ({"fr": "f", "hu": "h"}, "de", "f"),
        ({"hu-HU": "x", "en": "e"}, "hu", "e"),
    ],
)
def test_the_reader_s_language_is_chosen_the_nearest_one_otherwise(
    text: Any, language: str | None, chosen: str
) -> None:
    assert resolve_text(text, language) == chosen


def test_an_empty_map_has_no_text() -> None:
    with pytest.raises(ValueError, match="empty language map"):
        resolve_text({}, "en")
