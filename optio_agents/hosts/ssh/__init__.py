"""SSH: a connection that can be trusted, commands that survive any login shell, and a guard beside the agent.

settings         where to connect and as whom, as a value
host_keys        the host's key against known_hosts
connecting       one authenticated connection: keys, agent, configuration, jump hosts, retries at the door
framing          a command that foreign output cannot be mistaken for (sans-IO)
channels         commands over as many connections as the server's limits require

Everything here is asyncio code, as asyncssh is; `hosts.remote` uses it from Trio.
"""
