"""Rows of what members' harnesses report."""

from typing import NamedTuple


class HarnessRow(NamedTuple):
    """What a member's harness reported last."""

    format: str
    gate_at: float | None
    phase: str
    tool: str
    since: float
    heard_at: float


class GatesRow(NamedTuple):
    """Of some agents: how many there are, how many have a gate, and how many a run that is on."""

    agents: int
    gates: int
    runs: int
