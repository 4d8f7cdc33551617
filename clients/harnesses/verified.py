"""What was verified with each harness. `make test-harnesses` runs the real programs, and writes `verified.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("verified.json")

STEPS: Mapping[str, str] = {
    "joins": "`teamroom join` alone makes it the member",
    "calls": "a call to the room arrives as its member",
    "proof": "a join ends by waking it once, and sees that it was notified, woken and acted",
    "wakes": "an open session that rests is woken by a mention",
    "room": "a pause refuses its next call to the room",
    "tools": "a pause refuses its own next tool, and a resume lets it continue",
    "kill": "a kill ends its run, or its model reads who killed it and why",
    "decision": "it asks a person for a decision, and reads the answer",
    "approval": "its own tool waits for a person's approval, and runs after it",
    "prompt": "the room sees that it waits for a permission",
    "restart": "the room restarts in the middle of its run",
    "leaves": "`teamroom leave` removes every entry and nothing else",
}
"""What can be verified of a harness, in the order of its life."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified with one version of a harness. `steps`: the date of each, such as 2026-11-30."""

    version: str
    steps: Mapping[str, str]


@cache
def verified(key: str) -> Verified | None:
    """Return what was verified of a harness by its key; None if it was never run."""
    return load().get(key)


def load() -> dict[str, Verified]:
    """Return the whole record by the keys of the harnesses."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    return {key: Verified(one["version"], one["steps"]) for key, one in found.items()}


def in_words(found: Verified) -> str:
    """Return in a few words how far a harness was run."""
    steps = ", ".join(step for step in STEPS if step in found.steps)
    return f"run with version {found.version}: {steps}"
