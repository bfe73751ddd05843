"""Which variables of the worker an agent gets."""

from __future__ import annotations

from typing import Any

import pytest

from optio_agents.task.environment import BASIC, check_inherit, withheld

SECRETS = {
    "MONGO_URL": "mongodb://admin:s3cret@db/optio",
    "OPTIO_AGENTS_MONGO_URL": "mongodb://db/optio",
    "OPENAI_API_KEY": "sk-worker",
    "GITHUB_TOKEN": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "PGPASSWORD": "x",
    "MYPASSWORD": "x",
    "SSH_AUTH_SOCK": "/tmp/agent",
    "REDIS_HOST": "x",
    "PROXY": "http://user:password@proxy:3128",
    "HARMLESS_NAME": "sk-abcdefghijklmnop",
    "DEPLOY": "-----BEGIN OPENSSH PRIVATE KEY-----\nx",
}
HARMLESS = {
    "PATH": "/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PWD": "/x",
    "SSL_CERT_FILE": "/ca.pem",
    "EDITOR": "vi",
    "HTTPS_PROXY": "http://proxy:3128",
    "KEYBOARD": "de",
    "MONKEY": "yes",
}


def test_by_default_what_looks_like_a_secret_is_withheld_and_nothing_else() -> None:
    assert set(withheld({**SECRETS, **HARMLESS}, None)) == set(SECRETS)


def test_a_list_of_names_withholds_everything_else() -> None:
    environment = {**SECRETS, **HARMLESS}
    kept = set(environment) - set(withheld(environment, ["OPENAI_*", "EDITOR"]))
    assert kept == {"OPENAI_API_KEY", "EDITOR", "PATH", "HOME", "LC_ALL", "SSL_CERT_FILE"}


def test_nothing_but_what_every_program_needs() -> None:
    environment = {**SECRETS, **HARMLESS}
    kept = set(environment) - set(withheld(environment, False))
    assert kept == {"PATH", "HOME", "LC_ALL", "SSL_CERT_FILE"}
    assert "PATH" in BASIC


def test_everything() -> None:
    assert withheld({**SECRETS, **HARMLESS}, True) == []


@pytest.mark.parametrize("wrong", ["PATH", [1]])
def test_a_single_string_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="inherit_env must be"):
        check_inherit(wrong)
