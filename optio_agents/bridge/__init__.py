"""Trio inside asyncio, and back.

boundary.py          how a session calls user code: the protocol, its errors
trio_boundary.py     ... for callers on Trio
asyncio_boundary.py  ... for callers on asyncio
guest.py             the Trio run that all sessions of an asyncio loop share
driver_choice.py     chooses the driver of that Trio run
driver.py            the fast driver, on private parts of Trio
public_driver.py     the driver on Trio's public guest mode
loop_reader.py       a descriptor of ours that the loop watches
forked.py            prevents a forked process from using its copy of the run
never_freed.py       ... and from freeing it
host_loop.py         which loop that is, for Trio code
entry.py             run_in_trio: the entry from Trio or asyncio
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
