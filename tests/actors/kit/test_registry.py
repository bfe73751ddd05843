from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import trio
from hypothesis import given, settings, strategies as st
from trio.testing import wait_all_tasks_blocked

import actors
from actors.kit.registry import Entry, KeyTaken, Registry, start_registry
from actors.testing import cancel_at_every_step, run_seeded
from tests.support.sample_actors import Boom, keep


async def idle(me: actors.Me[str]) -> None:
    async for message in me:
        if message == "fail":
            raise Boom


async def test_an_actor_is_found_by_its_keys_until_it_ends() -> None:
    async with actors.open_supervisor() as supervisor:
        registry: Registry[str, str] = await start_registry(supervisor)
        ref = await supervisor.start(actors.actor(idle))
        registry.register("a", ref)
        registry.register("b", ref)
        registry.register("a", ref)
        assert registry.get("a") is registry.get("b") is ref
        assert registry.get("c") is None
        assert "a" in registry
        assert sorted(registry) == ["a", "b"]
        assert registry.unregister("b")
        assert not registry.unregister("b")
        ref.stop()
        await ref.wait()
        assert registry.get("a") is None
        assert len(registry) == 0
        with pytest.raises(actors.ActorStopped, match="idle-"):
            registry.register("a", ref)


async def test_a_key_belongs_to_one_living_actor() -> None:
    async with actors.open_supervisor() as supervisor:
        registry: Registry[str, str] = await start_registry(supervisor)
        first, second = [await supervisor.start(actors.actor(idle)) for _ in range(2)]
        registry.register("a", first)
        with pytest.raises(KeyTaken, match="'a' belongs to the living actor"):
            registry.register("a", second)
        registry.unregister("a")
        registry.register("a", second)
        first.cancel()
        await first.wait()
        assert registry.get("a") is second


async def test_a_restart_keeps_the_entry() -> None:
    async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
        registry: Registry[str, str] = await start_registry(supervisor)
        ref = await supervisor.start(actors.actor(idle), restart=actors.TRANSIENT)
        registry.register("a", ref)
        await ref.tell("fail")
        await wait_all_tasks_blocked()
        assert ref.statistics().restarts == 1
        assert registry.get("a") is ref


async def test_one_can_wait_for_an_actor_that_is_registered_later(autojump_clock: object) -> None:
    found: list[object] = []

    async with actors.open_supervisor() as supervisor:
        registry: Registry[str, str] = await start_registry(supervisor)
        ref = await supervisor.start(actors.actor(idle))

        async def wait(key: str) -> None:
            found.append(await registry.wait_for(key, timeout=60))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "a")
            nursery.start_soon(wait, "a")
            await trio.sleep(5)
            with pytest.raises(actors.AskTimeout):
                await registry.wait_for("a", timeout=1)
            assert found == []
            registry.register("a", ref)
        assert found == [ref, ref]
        assert await registry.wait_for("a", timeout=1) is ref
        for _ in range(20):
            with pytest.raises(actors.AskTimeout):
                await registry.wait_for("never", timeout=1)
        assert len(registry._waiting["never"]) <= 1


async def test_who_waits_learns_that_the_registry_has_ended() -> None:
    async with trio.open_nursery() as nursery, actors.open_supervisor() as supervisor:
        registry: Registry[str, str] = await start_registry(supervisor)
        ref = await supervisor.start(actors.actor(idle))

        async def wait() -> None:
            with pytest.raises(actors.ActorStopped, match="registry"):
                await registry.wait_for("a", timeout=60)

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        registry._ref.stop()
        with pytest.raises(actors.ActorStopped, match="registry"):
            registry.register("a", ref)


async def test_an_observer_receives_what_there_is_and_the_last_change_of_each_key() -> None:
    log: list[Any] = []
    async with actors.open_supervisor() as supervisor:
        registry: Registry[str, str] = await start_registry(supervisor)
        first, second = [await supervisor.start(actors.actor(idle)) for _ in range(2)]
        observer = await supervisor.start(actors.actor(keep, log), capacity=1)
        registry.register("a", first)
        registry.observe(observer, lambda entry: entry)
        await wait_all_tasks_blocked()
        assert log == [Entry("a", first)]
        registry.unregister("a")
        registry.register("a", second)
        registry.register("b", second)
        await wait_all_tasks_blocked()
        assert log[1:] == [Entry("a", second), Entry("b", second)]
        second.stop()
        await second.wait()
        await wait_all_tasks_blocked()
        assert log[3:] == [Entry("a", None), Entry("b", None)]
        registry.unobserve(observer)
        registry.register("a", first)
        await wait_all_tasks_blocked()
        assert len(log) == 5
        registry.observe(observer, lambda entry: entry)
        observer.cancel()
        await observer.wait()
        assert registry._observers == {}


deeds = st.lists(
    st.tuples(
        st.sampled_from(["register", "unregister", "end", "fail"]), st.integers(0, 3), st.integers(0, 3)
    ),
    max_size=30,
)


@settings(deadline=None)
@given(deeds, st.integers(0, 2**32))
def test_a_registry_is_a_dict_without_those_that_have_ended(
    history: list[tuple[str, int, int]], seed: int
) -> None:
    """And an observer's picture, drawn from the changes alone, is the same."""
    model: dict[int, int] = {}
    seen: dict[int, actors.Ref[str]] = {}

    async def observer(me: actors.Me[Entry[int, str]]) -> None:
        async for entry in me:
            if entry.ref is None:
                seen.pop(entry.key, None)
            else:
                seen[entry.key] = entry.ref

    async def main() -> None:
        intensity = actors.Intensity(restarts=100)
        async with actors.open_supervisor(
            on_failure=lambda ref, exit: None, intensity=intensity
        ) as supervisor:
            registry: Registry[int, str] = await start_registry(supervisor)
            watcher = await supervisor.start(actors.actor(observer))
            registry.observe(watcher, lambda entry: entry)
            refs = [await supervisor.start(actors.actor(idle), restart=actors.TRANSIENT) for _ in range(4)]
            for deed, key, which in history:
                ref = refs[which]
                if deed == "unregister":
                    assert registry.unregister(key) == (model.pop(key, None) is not None)
                elif ref.exit is not None:
                    continue
                elif deed == "end":
                    ref.stop()
                    await ref.wait()
                    for taken in [taken for taken, holder in model.items() if holder == which]:
                        del model[taken]
                elif deed == "fail":
                    await ref.tell("fail")
                    await wait_all_tasks_blocked()
                elif model.setdefault(key, which) == which:
                    registry.register(key, ref)
                else:
                    with pytest.raises(KeyTaken):
                        registry.register(key, ref)
                assert {key: registry.get(key) for key in registry} == {k: refs[v] for k, v in model.items()}
            await wait_all_tasks_blocked()
            assert seen == {key: refs[which] for key, which in model.items()}

    run_seeded(main, seed=seed)


def test_a_wait_that_is_cancelled_at_any_step_leaves_nothing() -> None:
    def build() -> Any:
        async def run() -> None:
            async with actors.open_supervisor() as supervisor:
                registry: Registry[str, str] = await start_registry(supervisor)
                ref = await supervisor.start(actors.actor(idle))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(lambda: registry.wait_for("a", timeout=5))
                    await trio.lowlevel.checkpoint()
                    registry.register("a", ref)
                ref.stop()
                await ref.wait()
                assert len(registry) == 0

        return run, lambda: None

    assert cancel_at_every_step(build, seeds=range(20)).points > 20


async def test_a_registry_that_has_ended_is_freed() -> None:
    gc.collect()
    gc.disable()
    try:
        async with actors.open_supervisor() as supervisor:
            registry: Registry[str, str] = await start_registry(supervisor)
            ref = await supervisor.start(actors.actor(idle))
            registry.register("a", ref)
        freed = weakref.ref(registry)
        del registry, ref, supervisor
        await trio.lowlevel.checkpoint()
        assert freed() is None
    finally:
        gc.enable()
