"""Which hosts are trusted, and with what one gets in: real servers, real keys, the client's own files."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optio_agents.hosts.ssh import connecting
from optio_agents.hosts.ssh.connecting import CannotConnect, HostKeyRefused, LoginRefused
from optio_agents.hosts.ssh.settings import Ask, HostKeyPolicy, SshSettings
from tests.support.servers import START_SECONDS, Ssh, running_sshd

pytestmark = pytest.mark.servers


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory without an ssh-agent."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


def settings(ssh: Ssh, policy: HostKeyPolicy | None = None, *, key: bool = True) -> SshSettings:
    identity = ssh.key if key else None
    return SshSettings(ssh.host, ssh.user, ssh.port, identity, policy or HostKeyPolicy())


def connect(wanted: SshSettings, ask: Ask | None = None) -> str:
    """What `echo in` prints over such a connection."""

    async def program() -> str:
        async with asyncio.timeout(90):
            connection = await connecting.connect(wanted, ask)
            async with connection:
                return str((await connection.run("echo in", check=True)).stdout)

    return asyncio.run(program())


def keygen(path: Path, *options: str) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path), *options]
    subprocess.run(command, check=True, timeout=START_SECONDS)


def test_a_key_in_known_hosts_is_trusted(ssh: Ssh, home: Path) -> None:
    assert connect(settings(ssh, HostKeyPolicy(ssh.known_hosts))) == "in\n"
    (home / ".ssh" / "known_hosts").write_text(ssh.known_hosts.read_text())
    assert connect(settings(ssh)) == "in\n"
    # As Debian writes it: names hashed.
    subprocess.run(
        ["ssh-keygen", "-q", "-H", "-f", str(home / ".ssh" / "known_hosts")], check=True, timeout=60
    )
    assert "127.0.0.1" not in (home / ".ssh" / "known_hosts").read_text()
    assert connect(settings(ssh)) == "in\n"


def test_an_unknown_key_is_refused_and_the_error_says_what_to_do(ssh: Ssh, home: Path) -> None:
    with pytest.raises(HostKeyRefused, match=r"unknown: it shows ssh-ed25519 SHA256:.*--accept-new-host-key"):
        connect(settings(ssh))
    assert not (home / ".ssh" / "known_hosts").exists()


def test_an_accepted_new_key_is_kept_and_compared_from_then_on(ssh: Ssh, home: Path, tmp_path: Path) -> None:
    (home / ".ssh").rmdir()
    assert connect(settings(ssh, HostKeyPolicy(accept_new=True))) == "in\n"
    file = home / ".ssh" / "known_hosts"
    assert file.read_text().split()[:2] == ssh.known_hosts.read_text().split()[:2]
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert connect(settings(ssh)) == "in\n"


def test_a_new_key_begins_a_line_of_its_own(ssh: Ssh, home: Path) -> None:
    file = home / ".ssh" / "known_hosts"
    file.write_text("# the last line has no end")
    assert connect(settings(ssh, HostKeyPolicy(accept_new=True))) == "in\n"
    assert file.read_text().splitlines()[0] == "# the last line has no end"
    assert connect(settings(ssh)) == "in\n"


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_changed_key_is_refused_whatever_else_is_accepted(
    ssh: Ssh, home: Path, tmp_path: Path, accept_new: bool
) -> None:
    keygen(tmp_path / "other")
    file = tmp_path / "known hosts"
    line = f"[127.0.0.1]:{ssh.port} {(tmp_path / 'other.pub').read_text()}"
    file.write_text(line)
    with pytest.raises(HostKeyRefused, match=r"has changed: .*ssh-keygen -f .* -R '\[127\.0\.0\.1\]:"):
        connect(settings(ssh, HostKeyPolicy(file, accept_new)))
    assert file.read_text() == line


def test_another_servers_key_on_the_same_address_is_no_change(ssh: Ssh, home: Path, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:1 {(tmp_path / 'other.pub').read_text()}")
    with pytest.raises(HostKeyRefused, match="unknown"):
        connect(settings(ssh))


def test_a_revoked_key_is_refused(ssh: Ssh, home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text("@revoked " + ssh.known_hosts.read_text())
    with pytest.raises(HostKeyRefused):
        connect(settings(ssh, HostKeyPolicy(accept_new=True)))


def test_user_known_hosts_file_none_does_not_switch_the_check_off(ssh: Ssh, home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host *\n  UserKnownHostsFile none\n")
    with pytest.raises(HostKeyRefused):
        connect(settings(ssh))


def test_a_name_of_the_configuration_has_its_host_port_user_and_key(ssh: Ssh, home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host build\n  HostName 127.0.0.1\n  Port {ssh.port}\n  User {ssh.user}\n  IdentityFile {ssh.key}\n"
        f"  UserKnownHostsFile {ssh.known_hosts}\n  HostKeyAlias [127.0.0.1]:{ssh.port}\n"
    )
    assert connect(SshSettings("build")) == "in\n"


def test_a_jump_host_is_used_and_its_key_checked_as_well(ssh: Ssh, home: Path, tmp_path: Path) -> None:
    with running_sshd(tmp_path, "AllowTcpForwarding yes") as jump:
        (home / ".ssh" / "config").write_text(
            f"Host inner\n  HostName 127.0.0.1\n  Port {ssh.port}\n  User {ssh.user}\n  ProxyJump outer\n"
            f"  IdentityFile {ssh.key}\n"
            f"Host outer\n  HostName 127.0.0.1\n  Port {jump.port}\n  User {jump.user}\n  IdentityFile {jump.key}\n"
        )
        known = home / ".ssh" / "known_hosts"
        known.write_text(ssh.known_hosts.read_text())
        with pytest.raises(HostKeyRefused, match="by way of outer: the host key"):
            connect(SshSettings("inner"))
        known.write_text(known.read_text() + jump.known_hosts.read_text())
        assert connect(SshSettings("inner")) == "in\n"
        jump.stop()
        with pytest.raises(CannotConnect, match="by way of outer"):
            connect(SshSettings("inner"))


def test_every_default_key_is_tried(ssh: Ssh, home: Path) -> None:
    keygen(home / ".ssh" / "id_ed25519")
    (home / ".ssh" / "known_hosts").write_text(ssh.known_hosts.read_text())
    with pytest.raises(LoginRefused, match="permission denied"):
        connect(settings(ssh, key=False))
    (home / ".ssh" / "id_ecdsa").write_bytes(ssh.key.read_bytes())
    assert connect(settings(ssh, key=False)) == "in\n"


@contextmanager
def running_agent(directory: Path, *keys: Path) -> Iterator[Path]:
    """A real ssh-agent with these keys; its socket."""
    path = directory / "agent.socket"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None
        agent.stdout.readline()
        for key in keys:
            environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
            subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, timeout=START_SECONDS)
        yield path
    finally:
        agent.terminate()
        agent.communicate()


def test_the_keys_of_a_running_agent_are_used(
    ssh: Ssh, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = HostKeyPolicy(ssh.known_hosts)
    with running_agent(tmp_path, ssh.key) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        assert connect(settings(ssh, policy, key=False)) == "in\n"
    # It has ended: its socket does not answer any more, which must not block the others.
    assert connect(settings(ssh, policy)) == "in\n"


def test_an_encrypted_key_is_opened_by_the_agent_alone(ssh: Ssh, home: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    keygen(locked, "-N", "open sesame")
    wanted = SshSettings(ssh.host, ssh.user, ssh.port, locked, HostKeyPolicy(ssh.known_hosts))
    with pytest.raises(CannotConnect, match="locked is encrypted: add it to ssh-agent"):
        connect(wanted)


def test_a_second_factor_that_nobody_can_be_asked_for_is_named(home: Path, tmp_path: Path) -> None:
    lines = ("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    asked: list[str] = []

    async def ask(question: str) -> str | None:
        asked.append(question)
        return "wrong"

    with running_sshd(tmp_path, *lines) as ssh:
        wanted = settings(ssh, HostKeyPolicy(ssh.known_hosts))
        with pytest.raises(LoginRefused, match="asks for a password"):
            connect(wanted)
        with pytest.raises(LoginRefused):
            connect(wanted, ask)
    assert asked[0] == f"{ssh.user}@127.0.0.1's password: "


def test_connections_dropped_before_login_are_tried_again(home: Path, tmp_path: Path) -> None:
    with running_sshd(tmp_path, "MaxStartups 2:100:2", "LogLevel VERBOSE") as ssh:
        wanted = settings(ssh, HostKeyPolicy(ssh.known_hosts))

        async def program() -> None:
            async def one() -> None:
                async with await connecting.connect(wanted) as connection:
                    await connection.run("true", check=True)

            async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
                for _ in range(8):
                    tasks.create_task(one())

        asyncio.run(program())
        assert "MaxStartups" in (tmp_path / "sshd.log").read_text()


def test_a_server_that_never_says_a_word_is_given_up(
    ssh: Ssh, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "LOGIN_SECONDS", 0.3)
    given_up = pytest.raises(CannotConnect, match=r"the login did not succeed within 0\.3 seconds")
    with socket.create_server(("127.0.0.1", 0)) as mute, given_up:
        connect(SshSettings("127.0.0.1", "me", mute.getsockname()[1], ssh.key))


def test_a_name_that_does_not_exist_is_said(home: Path) -> None:
    with pytest.raises(CannotConnect, match=r"name no-such-host\.invalid is not known"):
        connect(SshSettings("no-such-host.invalid", "me"))
