"""Text for people, in one language or in several.

A `Text` is a plain string, or a mapping of language code (BCP 47: `en`, `hu`, `pt-BR`) to string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Text: TypeAlias = str | Mapping[str, str]
"""One string for every reader, or one per language code."""

_FALLBACK = "en"


def check_text(value: Any, *, what: str) -> Text:
    """Return `value` if it is a usable `Text`; a mapping is copied into a plain dict.

    Args:
        value: what to check.
        what: the name of the field, for the error.

    Raises:
        ValueError: it is empty, has an empty entry, or is no text at all.
    """
    if isinstance(value, str):
        if not value:
            raise ValueError(f"{what} must not be empty")
        return value
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise ValueError(f"{what} must be a string or a map of language code to string, got {kind}")
    if not value:
        raise ValueError(f"{what} must have at least one language entry")
    for language, text in value.items():
        if not isinstance(language, str) or not language:
            raise ValueError(f"{what}: language codes must be non-empty strings, got {language!r}")
        if not isinstance(text, str) or not text:
            raise ValueError(f"{what}[{language!r}] must be a non-empty string")
    return dict(value)


def resolve_text(text: Text, language: str | None) -> str:
    """Choose the string for a reader.

    The first of these that the mapping has: `language` itself, `language` with its last subtags removed (`hu-HU`
    finds `hu`, as RFC 4647 "lookup" does), `en`, its first entry. Case and `_` for `-` make no difference.

    Args:
        text: a `Text`.
        language: the reader's language code, `None` if it is not known.

    Raises:
        ValueError: the mapping is empty.
    """
    if isinstance(text, str):
        return text
    if not text:
        raise ValueError("an empty language map has no text to choose from")
    if language is not None and language in text:
        return text[language]
    entries = {_normal(code): entry for code, entry in reversed(list(text.items()))}
    wanted = _normal(language or _FALLBACK)
    while wanted:
        if wanted in entries:
            return entries[wanted]
        wanted = wanted.rpartition("-")[0]
    return entries.get(_FALLBACK, next(iter(text.values())))


def _normal(code: str) -> str:
    return code.lower().replace("_", "-")
