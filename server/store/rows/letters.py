"""Row types of people's choices for their letters, and of the channels that they added."""

from typing import NamedTuple


class LetterSettingRow(NamedTuple):
    """What a person chose; None leaves a choice to the room's settings. `numbered`: channels added so far."""

    quiet: str | None
    per_hour: int | None
    zone: str | None
    digest_time: str | None
    suspects: int
    numbered: int


class OwnChannelRow(NamedTuple):
    """A channel that a person added. `mark`: the name of its address in the data folder's private file."""

    number: int
    kind: str
    mark: str
    added_at: float
