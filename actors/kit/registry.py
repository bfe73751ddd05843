"""Find living actors by key: an entry disappears when its actor ends, and others can wait for one or observe all.

The registry is an actor without a task, so an entry is removed in the same step in which its actor ends.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from actors.errors import ActorError, ActorStopped
from actors.inline_handles import InlineMe
from actors.inline_spec import inline
from actors.question import Question
from actors.ref import Ref
from actors.supervisor import Supervisor

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")


class KeyTaken(ActorError):  # noqa: N818 - named for what happened
    """Another living actor is registered with this key."""

    def __init__(self, key: object, holder: str) -> None:
        super().__init__(f"the key {key!r} belongs to the living actor {holder!r}: unregister it first")


@dataclass(frozen=True, slots=True)
class Entry(Generic[K, M]):
    """What an observer receives about a key. `ref` is `None` when nothing is registered with it any more."""

    key: K
    ref: Ref[M] | None


@dataclass(frozen=True, slots=True)
class _ActorEnded:
    ref: Ref[Any]


@dataclass(frozen=True)
class _WaitFor(Question[Ref[Any]]):
    key: Any


class Registry(Generic[K, M]):
    """Actors that take messages of one type, by key. Made by `start_registry`.

    An actor may have several keys. Look-ups are plain calls: `registry.get(key)`, `key in registry`, `len(registry)`,
    iteration over the keys. A restart keeps the entry, because it keeps the `Ref`.
    """

    def __init__(self) -> None:
        self._refs: dict[K, Ref[M]] = {}
        self._keys: dict[Ref[M], list[K]] = {}
        self._waiting: dict[K, list[_WaitFor]] = {}
        self._observers: dict[Ref[Any], Callable[[Entry[K, M]], Any]] = {}
        self._me: InlineMe[Any]
        self._ref: Ref[Any]

    def register(self, key: K, ref: Ref[M]) -> None:
        """Make `ref` the actor of `key`, until it ends.

        Raises:
            KeyTaken: another actor is registered with it. (Again with the same actor is no mistake.)
            ActorStopped: that actor, or the registry, has ended.
        """
        for each in (self._ref, ref):
            if each.exit is not None:
                raise ActorStopped(each.name, each.exit)
        holder = self._refs.get(key)
        if holder is ref:
            return
        if holder is not None:
            raise KeyTaken(key, holder.name)
        self._refs[key] = ref
        self._keys.setdefault(ref, []).append(key)
        self._me.watch(ref, lambda exit: _ActorEnded(ref))
        for question in self._waiting.pop(key, ()):
            question.reply.set(ref)
        self._announce(Entry(key, ref))

    def unregister(self, key: K) -> bool:
        """Remove the entry of `key`. Returns whether there was one."""
        ref = self._refs.pop(key, None)
        if ref is None:
            return False
        keys = self._keys[ref]
        keys.remove(key)
        if not keys:
            del self._keys[ref]
            self._me.unwatch(ref)
        self._announce(Entry(key, None))
        return True

    def get(self, key: K) -> Ref[M] | None:
        """The living actor with this key."""
        return self._refs.get(key)

    async def wait_for(self, key: K, *, timeout: float) -> Ref[M]:
        """The actor with this key, which may be registered later.

        Raises:
            AskTimeout: none was registered within `timeout` seconds.
            ActorStopped: the registry has ended.
        """
        return await self._ref.ask(_WaitFor(key), timeout=timeout)

    def observe(self, ref: Ref[Any], make: Callable[[Entry[K, M]], Any]) -> None:
        """Let `ref` receive `make(entry)`, in its system lane, for each key that there is, and whenever one changes.

        If a key changes again before the message is received, only the last change is. Ends with `unobserve`, or with
        the observer.
        """
        self._observers[ref] = make
        self._me.watch(ref, lambda exit: _ActorEnded(ref))
        for key, registered in self._refs.items():
            self._notify(ref, make, Entry(key, registered))

    def unobserve(self, ref: Ref[Any]) -> None:
        """Let it receive no more changes."""
        if self._observers.pop(ref, None) is not None and ref not in self._keys:
            self._me.unwatch(ref)

    def __contains__(self, key: object) -> bool:
        return key in self._refs

    def __iter__(self) -> Iterator[K]:
        return iter(list(self._refs))

    def __len__(self) -> int:
        return len(self._refs)

    def _announce(self, entry: Entry[K, M]) -> None:
        for ref, make in self._observers.items():
            self._notify(ref, make, entry)

    def _notify(self, ref: Ref[Any], make: Callable[[Entry[K, M]], Any], entry: Entry[K, M]) -> None:
        if ref.exit is None:
            ref._cell.notify((self, entry.key), lambda: make(entry))

    def _handle(self, message: _ActorEnded | _WaitFor) -> None:
        if isinstance(message, _WaitFor):
            if (ref := self._refs.get(message.key)) is not None:
                message.reply.set(ref)
            else:
                waiting = [each for each in self._waiting.get(message.key, ()) if each.reply.wanted]
                self._waiting[message.key] = [*waiting, message]
            return
        self._observers.pop(message.ref, None)
        for key in self._keys.pop(message.ref, ()):
            del self._refs[key]
            self._announce(Entry(key, None))


def _set_up(me: InlineMe[Any], registry: Registry[Any, Any]) -> Callable[[Any], None]:
    registry._me = me
    return registry._handle


async def start_registry(supervisor: Supervisor, *, name: str = "registry") -> Registry[Any, Any]:
    """Start a registry as a child of `supervisor`: `names: Registry[str, Get] = await start_registry(supervisor)`.

    Raises:
        NameTaken: a child of that name is alive.
        SupervisorClosed: the supervisor is not open, or is being left.
    """
    registry: Registry[Any, Any] = Registry()
    registry._ref = await supervisor.start(inline(_set_up, registry), name=name)
    return registry
