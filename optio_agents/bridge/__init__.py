"""Trio inside asyncio, and back.

boundary.py          what a session needs of the user's world: the protocol, its errors
trio_boundary.py     ... when that world is Trio
asyncio_boundary.py  ... when it is asyncio
guest.py             the Trio run that all sessions of an asyncio loop share
driver_choice.py     what steps that Trio run: one of the next two
driver.py            ... by the private parts of Trio that are known to it: fast
public_driver.py     ... by Trio's public guest mode
loop_reader.py       a descriptor of ours that the loop watches
forked.py            keeps a forked process from using its copy of the run
never_freed.py       ... and from freeing it
host_loop.py         which loop that is, for Trio code
entry.py             run_in_trio: the way in, from either world
suspended_at.py      the place at which a coroutine is suspended, for reports
"""

from optio_agents.bridge.asyncio_boundary import AsyncioBoundary, HostLoopClosed
from optio_agents.bridge.boundary import Abandoned, Boundary, StrayCancellation
from optio_agents.bridge.entry import run_in_trio
from optio_agents.bridge.trio_boundary import TrioBoundary

__all__ = [
    "Abandoned",
    "AsyncioBoundary",
    "Boundary",
    "HostLoopClosed",
    "StrayCancellation",
    "TrioBoundary",
    "run_in_trio",
]
