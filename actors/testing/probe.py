"""An actor with which a test talks to others: it collects its messages, and the test checks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import trio

from actors.spec import actor

if TYPE_CHECKING:
    from actors.exits import Exit
    from actors.me import Me
    from actors.ref import Ref
    from actors.supervisor import Supervisor

M = TypeVar("M")
X = TypeVar("X")


class Probe(Generic[M]):
    """Pass `probe.ref` to the code under test. Times are seconds of Trio's clock; use a `MockClock`."""

    def __init__(self) -> None:
        """Made by `start`."""
        self._send, self._receive = trio.open_memory_channel[Any](float("inf"))
        self._me: Me[M] | None = None

    @classmethod
    async def start(cls, supervisor: Supervisor, name: str = "probe", capacity: int = 64) -> Probe[M]:
        """Start a probe as a temporary child. The errors are those of `supervisor.start`."""
        probe: Probe[M] = cls()
        await supervisor.start(actor(_collect, probe), name=name, capacity=capacity)
        return probe

    @property
    def me(self) -> Me[M]:
        """The probe's own handle."""
        assert self._me is not None, "a probe is made by `await Probe.start(supervisor)`"
        return self._me

    @property
    def ref(self) -> Ref[M]:
        """The handle to give to the code under test."""
        return self.me.ref

    def watch(self, ref: Ref[Any]) -> None:
        """Receive that actor's `Exit` when it ends: `await probe.expect(Exit)`."""

        def as_it_is(exit: Exit) -> Any:
            return exit

        self.me.watch(ref, as_it_is)

    @overload
    async def expect(self, wanted: type[X], *, within: float = ...) -> X: ...
    @overload
    async def expect(self, wanted: X, *, within: float = ...) -> X: ...
    async def expect(self, wanted: Any, *, within: float = 1.0) -> Any:
        """The next message must come `within` seconds, and be of that class, or equal to that value.

        Raises:
            AssertionError: it does not come, or is another.
        """
        message = await self._next(within, wanted)
        fits = isinstance(message, wanted) if isinstance(wanted, type) else message == wanted
        if not fits:
            raise AssertionError(f"expected {wanted!r}, got {message!r}")
        return message

    async def expect_nothing(self, *, seconds: float = 1.0) -> None:
        """No message may come for so long.

        Raises:
            AssertionError: one came.
        """
        with trio.move_on_after(seconds):
            raise AssertionError(f"expected nothing, got {await self._receive.receive()!r}")

    async def fish(self, fits: Callable[[Any], bool], *, within: float = 1.0) -> Any:
        """Skip messages until one `fits`.

        Raises:
            AssertionError: none came within `within` seconds in all.
        """
        deadline = trio.current_time() + within
        while not fits(message := await self._next(deadline - trio.current_time(), fits)):
            pass
        return message

    async def _next(self, within: float, wanted: object) -> Any:
        with trio.move_on_after(max(0.0, within)):
            return await self._receive.receive()
        raise AssertionError(f"expected {wanted!r}, nothing came for {within} s")


async def _collect(me: Me[M], probe: Probe[M]) -> None:
    probe._me = me
    async for message in me:
        probe._send.send_nowait(message)
