"""Which of the worker's environment variables an agent gets.

A worker's environment contains secrets that only the worker needs: the database's URL with its password, keys of other
services. An agent runs code that a model wrote, so by default it gets none of the variables that look like a secret, by
name or by value. A list of names is stricter: the agent then gets only those.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

InheritEnv: TypeAlias = bool | Sequence[str] | None
"""`None`: all except those that look like a secret. `True`: all. `False`: only `BASIC`. A list: `BASIC` and those."""

BASIC = (
    "HOME", "LANG", "LC_*", "LOGNAME", "NO_COLOR", "PATH", "SHELL", "SSL_CERT_DIR", "SSL_CERT_FILE", "TERM", "TMPDIR",
    "TZ", "USER",
)  # fmt: skip
"""Most programs need these; none of them is a secret."""

_SECRET_WORDS = (
    "KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASS", "PASSWD", "PASSWORD", "PASSPHRASE", "PWD", "PW",
    "CREDENTIAL", "CREDENTIALS", "CRED", "CREDS", "AUTH", "COOKIE", "SIGNATURE", "PRIVATE", "CERT", "DSN", "APIKEY",
)  # fmt: skip
_SERVICES = ("AMQP", "DATABASE", "DB", "MONGO", "MONGODB", "MYSQL", "OPTIO", "PG", "PGPASSFILE", "POSTGRES", "RABBITMQ",
             "REDIS", "SENTRY", "SMTP")  # fmt: skip
_HARMLESS = ("PWD", "OLDPWD", "SSL_CERT_DIR", "SSL_CERT_FILE", "OPTIO_AGENTS_TASK_ROOT")

_SECRET_VALUE = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s@]+@"  # a URL with a user or a password
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:sk-|ghp_|gho_|github_pat_|glpat-|xox[abprs]-|AKIA|AIza|eyJ)[A-Za-z0-9_-]{8,}",
    re.IGNORECASE,
)


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable looks like a secret that only the worker may have."""
    if name in _HARMLESS:
        return False
    words = name.upper().split("_")
    return (
        words[0] in _SERVICES
        or any(word in _SECRET_WORDS or word.endswith(("PASSWORD", "SECRET", "TOKEN")) for word in words)
        or _SECRET_VALUE.search(value) is not None
    )


def withheld(environment: Mapping[str, str], inherit: InheritEnv) -> list[str]:
    """The names of the variables in `environment` that the agent does not get.

    Args:
        environment: the worker's own.
        inherit: see `InheritEnv`; patterns are shell patterns (`LC_*`), case-sensitive.
    """
    if inherit is True:
        return []
    if inherit is None:
        return [name for name, value in environment.items() if looks_secret(name, value)]
    patterns = BASIC if inherit is False else (*BASIC, *inherit)
    return [name for name in environment if not _matches(name, patterns)]


def check_inherit(inherit: InheritEnv) -> None:
    """Check that `inherit` is an `InheritEnv`.

    Raises:
        TypeError: it is a single string, or holds something that is no string.
    """
    if inherit is None or isinstance(inherit, bool):
        return
    if isinstance(inherit, str) or not all(isinstance(each, str) for each in inherit):
        raise TypeError(f"inherit_env must be None, True, False or a list of names, not {inherit!r}")


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
