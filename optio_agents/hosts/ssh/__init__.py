"""SSH: connections that can be trusted, commands that work in any login shell, and a guard for the agent.

settings         where to connect, as whom, what to trust: values
host_keys        the host's key against known_hosts
connecting       one authenticated connection: configuration, keys, ssh-agent, jump hosts, retries
framing          a command whose output cannot be mistaken for the login shell's (sans-IO)
command          one such command on a host: output, input, end
channels         commands over as many connections as the server's limits require
guarded          an agent under a guard: attached to it, and again after a cut        guard.sh  the guard itself
remote_host      optio-host's `RemoteHost` over all of this
errors           the connection's faults and the host's

Everything here is asyncio code, as asyncssh is; `hosts.remote_connection` uses it from Trio.
"""
