"""Who may talk to a listener: a password for the dashboard's proxy, a token for the page, and the right origin."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

USER = "optio"
"""The user name of the Basic authentication."""


def new_secret() -> str:
    """A password or a token, fit for a URL."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Access:
    """The secret of one listener. The same one is the password of the proxy and the token of the page.

    Attributes:
        secret: as `new_secret` makes it.
        cookie: the name of the cookie that holds it. Ports of a host share cookies, so each listener has
            a name of its own.
    """

    secret: str = field(default_factory=new_secret, repr=False)
    cookie: str = field(default_factory=lambda: f"optio-{secrets.token_hex(4)}")

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request shows the secret, as Basic authentication, as a bearer token or as our cookie."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return self._is_basic(value)
        if scheme.lower() == "bearer":
            return self.is_secret(value.strip())
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return found is not None and self.is_secret(found.value)

    def is_secret(self, value: str) -> bool:
        """Whether `value` is the secret, compared in constant time."""
        return hmac.compare_digest(value.encode(errors="replace"), self.secret.encode())

    def _is_basic(self, value: str) -> bool:
        try:
            user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(user.encode(), USER.encode()) and self.is_secret(password)


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser sends the request from our own page; a program sends no `Origin`."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc == headers.get("host", "")
