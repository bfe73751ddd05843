import random

from optio_agents.hosts.ssh.guarded import Record, RecordFinder

NONCE = "0123456789abcdef" * 2
END = f"{NONCE} end 0\n".encode()


def joined(parts: list[bytes | Record]) -> list[bytes | Record]:
    """Neighbouring bytes in one."""
    result: list[bytes | Record] = []
    for part in parts:
        if isinstance(part, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += part
        else:
            result.append(part)
    return result


def test_records_are_found_anywhere_and_nothing_of_the_output_is_lost() -> None:
    stream = b"a" + f"{NONCE} took 12\n".encode() + NONCE.encode() + b" not a record\nb" + END + b"tail"
    whole = [
        b"a",
        Record("took", 12, 41),
        NONCE.encode() + b" not a record\nb",
        Record("end", 0, 39),
        b"tail",
    ]
    for seed in range(50):
        random.seed(seed)
        finder, parts, rest = RecordFinder(NONCE), [], stream
        while rest:
            size = random.randrange(1, 12)
            parts += finder.feed(rest[:size])
            rest = rest[size:]
        assert joined(parts) == whole, f"seed {seed}"


def test_output_without_records_is_not_held_back() -> None:
    finder = RecordFinder(NONCE)
    for line in (b"one line\n", b"01 half of one", b"0" * 100):
        assert (
            b"".join(part for part in finder.feed(line) if isinstance(part, bytes))
            == line[: len(line) - (1 if line.endswith(b"0") else 0)]
        )


def test_the_sizes_of_records_and_output_add_up_to_the_stream() -> None:
    stream = b"x" * 1000 + END + b"y" * 10
    finder, size = RecordFinder(NONCE), 0
    for part in finder.feed(stream):
        size += len(part) if isinstance(part, bytes) else part.size
    assert size == len(stream)
