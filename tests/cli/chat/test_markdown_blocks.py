"""Markdown in pieces: where a block ends."""

from __future__ import annotations

import random

from optio_agents.cli.chat.markdown_blocks import BLOCK_LIMIT, LINE_LIMIT, MarkdownBlocks

TEXT = "one\ntwo\n\n\n```py\nx = 1\n\n~~~\n```\n\n- a\n- b\n\nlast"
BLOCKS = ["one\ntwo", "```py\nx = 1\n\n~~~\n```", "- a\n- b", "last"]


def test_a_blank_line_ends_a_block_except_in_fenced_code() -> None:
    blocks = MarkdownBlocks()
    assert [*blocks.feed(TEXT), *blocks.end()] == BLOCKS
    assert blocks.end() == []


def test_the_pieces_in_which_it_arrives_do_not_matter() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        blocks, found, rest = MarkdownBlocks(), [], TEXT
        while rest:
            size = chance.randint(1, 5)
            found += blocks.feed(rest[:size])
            rest = rest[size:]
        assert [*found, *blocks.end()] == BLOCKS, f"seed {seed}"


def test_the_block_that_is_not_complete_can_be_shown() -> None:
    blocks = MarkdownBlocks()
    blocks.feed("done\n\none\ntwo\nthr")
    assert blocks.tail(2) == ["two", "thr"]
    blocks.feed("ee\n")
    assert blocks.tail(5) == ["one", "two", "three"]


def test_text_without_an_end_is_cut() -> None:
    blocks = MarkdownBlocks()
    found = blocks.feed("```\n" + "x" * 10 * BLOCK_LIMIT)
    assert found
    assert max(map(len, found)) <= BLOCK_LIMIT + LINE_LIMIT + 2
    assert sum(block.count("x") for block in [*found, *blocks.end()]) == 10 * BLOCK_LIMIT
