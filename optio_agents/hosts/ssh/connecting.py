"""One authenticated SSH connection to a known host.

It follows OpenSSH's client: ~/.ssh/config (names, users, ports, identities, jump hosts, proxy commands), the keys of a
running ssh-agent, the default keys, known_hosts. asyncssh reads the configuration. This module decides about the host's
key, jump hosts, secrets and retries.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Sequence
from typing import Any

import asyncssh

from optio_agents.hosts.ssh.host_keys import HostKeyCheck
from optio_agents.hosts.ssh.settings import Ask, SshSettings

TCP_SECONDS = 15.0
"""Limit for the TCP connection, the proxy command's or the jump host's."""

LOGIN_SECONDS = 45.0
"""Limit from then until the login succeeds. The time in which the user types a password does not count."""

OVERLOADED_SECONDS = 30.0
"""How long to retry when the host closes connections before it has shown its key. sshd does that while too many
clients log in (`MaxStartups`)."""

ATTEMPTS = 3
"""How often the user is asked for a password or a code."""

_OVERLOADED_PAUSES = (0.2, 3.0)
"""Seconds before a retry: the first and the longest pause. Each is drawn between half and all of it."""

KEEPALIVE_SECONDS = 10.0
KEEPALIVE_COUNT = 3
"""A host that has not answered for `KEEPALIVE_SECONDS * KEEPALIVE_COUNT` is gone."""


class CannotConnect(ConnectionError):  # noqa: N818 - named for what happened
    """No connection could be made; the text says why, in one sentence without the host's name."""


class HostKeyRefused(CannotConnect):
    """The host's key is unknown or has changed."""


class LoginRefused(CannotConnect):
    """The host refused the login of this user with the available keys and secrets."""


class _Client(asyncssh.SSHClient):  # type: ignore[misc]
    """asyncssh's questions during one attempt, and what the answers show about it."""

    def __init__(
        self, host_key: HostKeyCheck, user: str, host: str, ask: Ask | None, clock: asyncio.Timeout
    ) -> None:
        self._host_key = host_key
        self._user = user
        self._host = host
        self._ask = ask
        self._clock = clock
        self._asked = 0
        self._challenges = 0
        self.connection: asyncssh.SSHClientConnection | None = None
        self.wanted: list[str] = []
        """What the host asked for in addition to keys, and did not get."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn
        self._count_from_now()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._host_key.accept(host, addr, port, key)

    async def password_auth_requested(self) -> str | None:
        return await self._answer(f"{self._user}@{self._host}'s password: ", "a password")

    def kbdint_auth_requested(self) -> str | None:
        # asyncssh asks this after each challenge that failed, for ever.
        self._challenges += 1
        return "" if self._challenges <= (1 if self._ask is None else ATTEMPTS) else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        answers = []
        for prompt, _ in prompts:
            answer = await self._answer(
                f"({self._user}@{self._host}) {prompt}", f"an answer to {prompt.strip()!r}"
            )
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _answer(self, question: str, what: str) -> str | None:
        answer = None
        if self._ask is not None and self._asked < ATTEMPTS:
            self._asked += 1
            self._clock.reschedule(None)
            answer = await self._ask(question)
            self._count_from_now()
        if answer is None and what not in self.wanted:
            self.wanted.append(what)
        return answer

    def _count_from_now(self) -> None:
        self._clock.reschedule(asyncio.get_running_loop().time() + LOGIN_SECONDS)

    @property
    def dropped_before_login(self) -> bool:
        """Whether the host closed the connection before it had shown its key."""
        return self.connection is not None and self.connection.get_server_host_key() is None


async def connect(settings: SshSettings, ask: Ask | None = None) -> asyncssh.SSHClientConnection:
    """Connect and log in.

    Args:
        settings: where to, and what to trust.
        ask: asks for passwords and codes; `None`: there is no user to ask.

    Raises:
        CannotConnect: no connection can be made.
        HostKeyRefused: the host's key is unknown or has changed.
        LoginRefused: the host refused the login of this user.
    """
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + OVERLOADED_SECONDS, _OVERLOADED_PAUSES[0]
    while True:
        try:
            return await _attempt(settings, ask, None)
        except _DroppedBeforeLogin as dropped:
            if loop.time() + pause > deadline:
                raise CannotConnect(str(dropped)) from dropped
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, _OVERLOADED_PAUSES[1])


class _DroppedBeforeLogin(CannotConnect):
    """The host is overloaded: a retry may help."""


async def _attempt(
    settings: SshSettings, ask: Ask | None, through: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    options = await _options(settings, through)
    jumps = options.tunnel if isinstance(options.tunnel, str) else ""
    for hop in filter(None, jumps.split(",")):
        through = await _jump(hop.strip(), settings, ask, through)
    try:
        connection = await _log_in(settings, ask, options, through)
    except BaseException:
        if through is not None:
            through.close()
        raise
    if through is not None:
        connection.set_tunnel(through)
    return connection


async def _jump(
    hop: str, settings: SshSettings, ask: Ask | None, through: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    user, _, place = hop.removeprefix("ssh://").rpartition("@")
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = place, ""
    jump = SshSettings(
        host.strip("[]"), user or None, int(port) if port else None, host_keys=settings.host_keys
    )
    try:
        return await _attempt(jump, ask, through)
    except CannotConnect as error:
        raise type(error)(f"by way of {jump}: {error}") from error


async def _options(
    settings: SshSettings, through: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnectionOptions:
    arguments: dict[str, Any] = {
        "config": (),  # ~/.ssh/config
        "host": settings.host,
        "keepalive_interval": KEEPALIVE_SECONDS,
        "keepalive_count_max": KEEPALIVE_COUNT,
        "login_timeout": 0,
    }
    if settings.user is not None:
        arguments["username"] = settings.user
    if settings.port is not None:
        arguments["port"] = settings.port
    if settings.identity is not None:
        arguments["client_keys"] = [str(settings.identity)]
    if through is not None:
        arguments["tunnel"] = through
    try:
        return await asyncssh.SSHClientConnectionOptions.construct(**arguments)
    except asyncssh.KeyImportError as error:
        if "encrypted" not in str(error):
            raise CannotConnect(f"the key cannot be used: {error}") from error
        # asyncssh opens such keys with the help of another package only; ssh-agent always can.
        raise CannotConnect(
            f"the key {settings.identity} is encrypted: add it to ssh-agent with ssh-add"
        ) from error
    except (asyncssh.Error, OSError, ValueError) as error:  # asyncssh.ConfigParseError is a ValueError
        raise CannotConnect(f"the SSH configuration or key cannot be used: {error}") from error


async def _log_in(
    settings: SshSettings,
    ask: Ask | None,
    options: asyncssh.SSHClientConnectionOptions,
    through: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    configured = options.known_hosts if isinstance(options.known_hosts, list) else []
    host_key = HostKeyCheck(settings.host_keys, configured)
    client: _Client | None = None
    try:
        async with asyncio.timeout(TCP_SECONDS) as clock:
            client = _Client(host_key, options.username, settings.host, ask, clock)
            return await asyncssh.connect(
                options=options,
                host=settings.host,
                port=options.port,
                tunnel=through,
                client_factory=lambda: client,
                known_hosts=host_key.readable_files() or b"",
            )
    except TimeoutError as error:
        what = "no answer" if client is None or client.connection is None else "the login did not succeed"
        seconds = TCP_SECONDS if client is None or client.connection is None else LOGIN_SECONDS
        raise CannotConnect(f"{what} within {seconds:g} seconds") from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostKeyRefused(host_key.refusal or str(error)) from error
    except asyncssh.PermissionDenied as error:
        raise LoginRefused(_why_refused(settings, client)) from error
    except ConnectionRefusedError as error:
        raise CannotConnect("connection refused") from error
    except socket.gaierror as error:
        raise CannotConnect(f"the name {settings.host} is not known: {error.strerror}") from error
    except (OSError, asyncssh.Error) as error:
        if "authentication failures" in str(error):
            why = f"{_why_refused(settings, client)}; it allows no more attempts (are there many keys in ssh-agent?)"
            raise LoginRefused(why) from error
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if client is not None and client.dropped_before_login:
            raise _DroppedBeforeLogin(f"it closes connections before the login: {why}") from error
        raise CannotConnect(why[:1].lower() + why[1:]) from error


def _why_refused(settings: SshSettings, client: _Client | None) -> str:
    keys = "the keys that there are" if settings.identity is None else f"the key {settings.identity}"
    if client is not None and client.wanted:
        return (
            f"permission denied: the host asks for {' and '.join(client.wanted)} (a second factor, or it does not "
            f"take {keys}); run it on a terminal to be asked"
        )
    return f"permission denied with {keys}"
