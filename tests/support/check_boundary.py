"""What every boundary must do, for user code on Trio and on asyncio."""

from __future__ import annotations

from collections.abc import Iterator

from outcome import Error

from optio_agents.bridge import Boundary


async def check_answers_silence_and_failures(boundary: Boundary) -> None:
    """`call_each` asks for the next arguments late, and tells answers apart from silence and from failures."""

    async def callback(answer: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    said: list[object] = []
    failure = ValueError("no")

    def arguments() -> Iterator[tuple[object]]:
        for answer in ("one", None, failure, 0):
            said.append("next")
            yield (answer,)

    await boundary.call_each(
        callback,
        arguments(),
        label="callback",
        on_result=lambda index, result: said.append((index, result)),
        on_answer=lambda index, value: said.append((index, value)),
    )
    assert said == ["next", (0, "one"), "next", "next", (2, Error(failure)), "next", (3, 0)]
