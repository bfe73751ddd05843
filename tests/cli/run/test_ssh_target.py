from pathlib import Path

import pytest

from optio_agents.cli.exit_codes import ExitCode, UsageError
from optio_agents.cli.run.ssh_target import parse_target
from optio_agents.hosts.ssh.settings import HostKeyPolicy


@pytest.mark.parametrize(
    ("text", "user", "host", "port", "shown"),
    [
        ("host", None, "host", None, "host"),
        ("me@host", "me", "host", None, "me@host"),
        ("me@host:22", "me", "host", 22, "me@host"),
        ("me@host:2222", "me", "host", 2222, "me@host:2222"),
        ("a@b@host", "a@b", "host", None, "a@b@host"),
        ("me@[::1]", "me", "::1", None, "me@[::1]"),
        ("me@[::1]:2222", "me", "::1", 2222, "me@[::1]:2222"),
        ("ssh://host", None, "host", None, "host"),
        ("ssh://me@host:2222/", "me", "host", 2222, "me@host:2222"),
        ("ssh://me@[::1]:2222", "me", "::1", 2222, "me@[::1]:2222"),
    ],
)
def test_user_host_and_port(text: str, user: str | None, host: str, port: int | None, shown: str) -> None:
    target = parse_target(text)
    assert (target.user, target.host, target.port) == (user, host, port)
    assert str(target) == shown


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "@host",
            "me@",
            "host:",
            "host:0",
            "host:65536",
            "host:x",
            "::1",
            "[::1",
            "[::1]x",
            "a b",
            "-oX",
        ),
        *("ssh://", "ssh://me@", "ssh://host/directory", "http://host", "sftp://me@host"),
    ],
)
def test_what_is_no_target_is_unusable(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert caught.value.code is ExitCode.USAGE


def test_a_named_key_that_is_missing_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no key"):
        parse_target("host", tmp_path / "missing")


def test_a_file_of_known_hosts_may_be_made_only_for_a_new_key(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    with pytest.raises(UsageError, match="no file of known hosts"):
        parse_target("host", host_keys=HostKeyPolicy(file))
    assert parse_target("host", host_keys=HostKeyPolicy(file, accept_new=True)).host_keys.known_hosts == file
    with pytest.raises(UsageError, match="no file of known hosts"):
        parse_target("host", host_keys=HostKeyPolicy(tmp_path / "no" / "such", accept_new=True))
