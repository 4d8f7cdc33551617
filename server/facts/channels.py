"""How a person is reached outside the room: the channels, and what the person chose for the letters."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from teamroom.server.facts.names import former_names
from teamroom.server.rules.notices import LetterSettings
from teamroom.server.setting_values import CHANNELS, scheme
from teamroom.server.settings import FixedSettings
from teamroom.server.store.rows.letters import LetterSettingRow, OwnChannelRow
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.transaction import Reading

ROOM_CHANNELS = 256
"""The most channels that all people of a room may add. A service that hangs can keep a thread of the server."""

OWN_FROM = CHANNELS
"""The slots below are those of the settings' channels; a person's channel N has slot `OWN_FROM + N - 1`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a person.

    `slot`: its number among the person's deliveries. `number`: what the person calls it, 0 for one of the settings.
    `mark`: the name of its address in the private file, "" for one of the settings.
    """

    slot: int
    kind: str
    number: int = 0
    mark: str = ""
    added_at: float | None = None


def configured_channels(tx: Reading, member: int, name: str) -> Sequence[SecretStr]:
    """The channels of a person in the settings: under its name, else under a former one; empty without any."""
    settings = tx.settings.notify
    if not settings or name in settings:
        return settings.get(name, ())
    return next((settings[former] for former in former_names(tx, member) if former in settings), ())


def find_channels(tx: Reading, member: int, name: str) -> list[Channel]:
    """All channels of a person: those of the settings first, then those that the person added."""
    configured = configured_channels(tx, member, name)
    own = tx.all(OwnChannelRow, "own_channels", member=member, limit=CHANNELS)
    return [
        *(Channel(slot, scheme(url)) for slot, url in enumerate(configured)),
        *(Channel(OWN_FROM + row.number - 1, row.kind, row.number, row.mark, row.added_at) for row in own),
    ]


def people_with_channels(tx: Reading) -> list[MemberName]:
    """The people that added channels themselves."""
    return tx.all(MemberName, "people_with_channels", limit=ROOM_CHANNELS)


def letter_settings(tx: Reading, member: int) -> LetterSettings:
    """What applies to a person's letters: its own choices, and the room's settings for the rest."""
    return applied(tx.settings, tx.one(LetterSettingRow, "letter_setting", member=member))


def applied(settings: FixedSettings, row: LetterSettingRow | None) -> LetterSettings:
    """A person's choices with the room's settings for what it left open."""
    if row is None:
        row = LetterSettingRow(None, None, None, None, 0, 0)
    return LetterSettings(
        quiet=settings.notify_quiet if row.quiet is None else row.quiet,
        per_hour=settings.notify_per_hour if row.per_hour is None else row.per_hour,
        zone=settings.notify_zone if row.zone is None else row.zone,
        digest_time=settings.notify_digest if row.digest_time is None else row.digest_time,
        suspects=bool(row.suspects),
    )
