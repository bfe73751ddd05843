import getpass
from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import ExitCode, UsageError
from optio_agents.cli.run.ssh_target import find_identity, parse_target


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("text", "user", "host", "port", "shown"),
    [
        ("me@host", "me", "host", 22, "me@host"),
        ("me@host:2222", "me", "host", 2222, "me@host:2222"),
        ("a@b@host", "a@b", "host", 22, "a@b@host"),
        ("me@[::1]", "me", "::1", 22, "me@[::1]"),
        ("me@[::1]:2222", "me", "::1", 2222, "me@[::1]:2222"),
    ],
)
def test_user_host_and_port(text: str, user: str, host: str, port: int, shown: str, key: Path) -> None:
    target = parse_target(text, key)
    assert (target.user, target.host, target.port) == (user, host, port)
    assert str(target) == shown


def test_the_user_is_by_default_the_one_who_runs_it(key: Path) -> None:
    assert parse_target("host", key).user == getpass.getuser()


@pytest.mark.parametrize(
    "text", ["", "@host", "me@", "host:", "host:0", "host:65536", "host:x", "::1", "[::1", "[::1]x", "a b"]
)
def test_what_is_no_target_is_unusable(text: str, key: Path) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text, key)
    assert caught.value.code is ExitCode.USAGE


def test_the_first_default_key_that_exists_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="no SSH key"):
        find_identity(None)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_rsa").touch()
    assert find_identity(None) == tmp_path / ".ssh" / "id_rsa"
    (tmp_path / ".ssh" / "id_ed25519").touch()
    assert find_identity(None) == tmp_path / ".ssh" / "id_ed25519"


def test_a_named_key_that_is_missing_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no key"):
        find_identity(tmp_path / "missing")
