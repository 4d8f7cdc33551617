"""The page and the JSON of the benchmarks. The page is made from the JSON alone, so it never says anything else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.figure import Part, chart_of_growths, table_of, table_of_growths

JSON, PAGE = "benchmarks.json", "benchmarks.md"

HEAD = """# Benchmarks

What the room costs its server, next to floors that are measured in the same run, and how that grows. The command
`python -m tests.bench` measures all of it, and writes this page and [the same figures as JSON](benchmarks.json). Use
`--only` or `--without` to measure a part. `make bench` also runs the benchmarks that are not on this page.

A figure is judged by its value: what was measured, its share of a floor, or how many times the floor it is. CPU counts
all threads of the server. Each figure is a median unless its name says more. Acts are durable: the database syncs
before the room answers.
"""

TEXTS = {
    "calls": (
        "What a call costs",
        "Sixteen callers call at once. The floor is a tool that does nothing, on the bare SDK, in the same rounds. The "
        "share is the floor's CPU over the call's, so 1.00 is as cheap as a call that does nothing. Clients of "
        "2026-07-28 are compared with an SDK that answers with one JSON body. Clients of 2025-06-18 are compared with "
        "the SDK's own sessions and event streams. For PostgreSQL, only the CPU of the room's server counts.",
    ),
    "entries": (
        "How the cost grows with the log",
        "The room has a thousand members and ten thousand tasks. The calls are made at its door, without the wire. "
        "For a copy in PostgreSQL, the CPU of the database counts, too.",
    ),
    "members": (
        "How the cost grows with the members",
        "Each room has a thousand tasks and ten thousand entries. The calls are made at its door, without the wire.",
    ),
    "wakes": (
        "How soon a listener is woken",
        "The time runs from the call that posts a mention until its listener has the wake. The post is durable by "
        "then. The floor is the bare SDK with as many open streams: a tool writes a line into one of them, and keeps "
        "nothing. Bare SSE without a tool is shown for comparison. CPU includes what the listener sends next.",
    ),
    "memory": (
        "What an idle listener holds",
        "The growth of the server's memory, over the listeners that came. The floor is a stream of bare SSE.",
    ),
    "day": (
        "A day of a thousand agents",
        "Each agent sends a heartbeat every 30 seconds and acts ten times an hour. A slice of that day runs at its "
        "real pace, and the server's own work counts. The floor is as many no-ops of the bare SDK at the same pace.",
    ),
    "servers": (
        "Two servers of one room in PostgreSQL",
        "The same sixteen callers post through one server, then through two. Each write takes the room's one lock. Two "
        "servers make smaller batches, and each waits for the other's commits. So a second server adds reads, streams "
        "and safety, but no writes.",
    ),
    "large": (
        "A room with a million entries",
        "It has ten thousand tasks and a thousand members. The floor of a call or a start is a room with ten thousand "
        "entries. The chain of a room is verified after its start. For a read of a copy in PostgreSQL, the CPU of the "
        "database counts, too. For its start, only the CPU of the room's server counts.",
    ),
    "search": (
        "Search in a million messages",
        "The CPU of a search for the newest 20. The floor is a scan of all messages. For a copy in PostgreSQL, the CPU "
        "of the database counts, too.",
    ),
    "rivals": (
        "Other rooms for agents",
        "One caller posts a message and reads the newest one. The floor is this room. The other rooms answer over "
        "standard input and output, this one over HTTP.",
    ),
}
"""The title of each part, and what a reader must know of it."""

WIDTH = 120


def write(into: Path, machine: str, parts: Mapping[str, Part]) -> None:
    """Write what was found as JSON, and as a page. Parts that were not measured now stay as they were written."""
    known = read(into)[1] if (into / JSON).exists() else {}
    found = {name: {**known, **parts}[name] for name in TEXTS if name in {**known, **parts}}
    written = {"machine": machine, "parts": {name: part.as_json() for name, part in found.items()}}
    (into / JSON).write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (into / PAGE).write_text(page_of(into), encoding="utf-8")


def read(folder: Path) -> tuple[str, dict[str, Part]]:
    """The machine and the parts of the JSON in a folder."""
    found: dict[str, Any] = json.loads((folder / JSON).read_text(encoding="utf-8"))
    return found["machine"], {name: Part.from_json(part) for name, part in found["parts"].items()}


def page_of(folder: Path) -> str:
    """The page for the JSON in a folder."""
    machine, parts = read(folder)
    sections = [HEAD, *("\n".join(_section(name, part)) + "\n" for name, part in parts.items())]
    return "\n".join([*sections, f"Measured on {machine}.\n"])


def _section(name: str, part: Part) -> Iterator[str]:
    title, words = TEXTS[name]
    yield f"## {title}"
    yield from _wrapped(words)
    if part.figures:
        yield ""
        yield from table_of(part.figures)
    if part.growths:
        yield ""
        yield from table_of_growths(part.growths, part.sizes)
        yield from ("", "```text", *chart_of_growths(part.growths), "```")
    for note in part.notes:
        yield ""
        yield from _wrapped(note)
    yield ""
    yield f"Measured on {part.measured_on}, in {part.seconds:,} s."


def _wrapped(words: str) -> Iterator[str]:
    line = ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > WIDTH:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
