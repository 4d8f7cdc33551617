"""Rows of where members run."""

from typing import NamedTuple


class RuntimeRow(NamedTuple):
    """A runtime of a member, as it was last seen."""

    host: str
    folder: str
    harness: str
    version: str
    branch: str
    revision: str
    since: float
    seen_at: float


class OldRuntime(NamedTuple):
    """A runtime that was last seen long ago."""

    member: int
    host: str


class DoubledRow(NamedTuple):
    """A member that runs on two hosts at once. `since`: since when both do."""

    name: str
    first_host: str
    second_host: str
    since: float
