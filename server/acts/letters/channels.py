"""The channels of people outside the room: their newest letters, and a test letter.

Addresses are only in the room's settings. Replies show the kind and the number of a channel, never its address.
"""

from pydantic import BaseModel

from teamroom.server.acts.act import Act, Arguments, Name, Read, Reply, author
from teamroom.server.acts.letters.notices import write
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.names import find_channels
from teamroom.server.facts.roles import LOG_READERS, ROOM_OPERATORS
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.settings import scheme
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.rows.notices import NewestDelivery
from teamroom.server.store.transaction import Reading, Writing


class Notify(Arguments):
    """Arguments of `notify`."""

    name: Name


class Notified(Reply):
    """Reply of `notify`: the number of the test letter, and the kinds of the channels it goes to."""

    name: str
    letter: int
    channels: list[str]


class ReadChannels(Arguments):
    """A read without arguments."""


class Channel(BaseModel):
    """One channel of a person: its kind, the state of its newest letter, and the last delivery and failure.

    `newest` is the number of its newest letter.
    """

    kind: str
    newest: int
    state: str
    delivered_at: str | None = None
    failed_at: str | None = None
    reason: str = ""

    @property
    def words(self) -> str:
        """The state of its newest letters in words."""
        arrived = f"last delivered {self.delivered_at}" if self.delivered_at else "nothing delivered yet"
        why = f" ({self.reason})" if self.reason else ""
        if self.state == "failed":
            return f"{arrived}; failed {self.failed_at}{why}"
        return f"{arrived}; one pending{why}" if self.state == "pending" else arrived


class PersonReached(BaseModel):
    """A person that has channels. `is_here`: a person of this name is in the room."""

    name: str
    is_here: bool
    channels: list[Channel]


class Channels(BaseModel):
    """The people with channels. `held`: how many notices are in no letter yet."""

    people: list[PersonReached]
    held: int


def notify(tx: Writing, caller: Caller, arguments: Notify) -> Notified:
    """Send a person a test letter on each of its channels. Raises Refusal."""
    member = tx.one(MemberRow, "member_by_name", name=arguments.name)
    if member is None or member.kind == "room":
        raise no_such_member(tx, arguments.name)
    name = member.name
    if not caller.is_operator and caller.member != member.id:
        raise Refusal(
            "not_allowed",
            "Only room owners and operators can test the channels of others.",
            "Name yourself, or ask one of them.",
        )
    urls = find_channels(tx, member.id, name)
    if member.kind != "human" or not urls:
        raise Refusal(
            "not_found",
            f"@{name} has no channel." if member.kind == "human" else f"@{name} is an agent; channels reach people.",
            "Ask the person who runs the server to add one under [notify] in room.toml and restart it.",
            subject=f"@{name}",
        )
    summary = f"@{caller.name} sent @{name} a test letter"
    seq = log.append(tx, author(caller), act="notify", subject=f"@{name}", summary=summary)
    letter = write(tx, member.id, name, "test", seq)
    return Notified(receipt=seq, name=name, letter=letter, channels=list(map(scheme, urls)))


def read_channels(tx: Reading, caller: Caller, arguments: ReadChannels) -> Channels:
    """Return all channels to roles that read the log, and to others their own."""
    return channels_of(tx, None if caller.role in LOG_READERS else caller.member)


def channels_of(tx: Reading, only: int | None) -> Channels:
    """The channels of one person, or of all that the settings name."""
    named = [(name, tx.one(MemberRow, "member_by_name", name=name)) for name in tx.settings.notify]
    people = [_person(tx, name, row) for name, row in named if only is None or (row is not None and row.id == only)]
    return Channels(people=people, held=tx.number("count_notices_held"))


def _person(tx: Reading, name: str, row: MemberRow | None) -> PersonReached:
    urls = tx.settings.notify[name] if row is None else find_channels(tx, row.id, row.name)
    if row is None or row.kind != "human":
        kinds = [Channel(kind=scheme(url), newest=0, state="") for url in urls]
        return PersonReached(name=name, is_here=False, channels=kinds)
    kinds = [_channel(tx, row.id, at, scheme(url)) for at, url in enumerate(urls)]
    return PersonReached(name=row.name, is_here=True, channels=kinds)


def _channel(tx: Reading, member: int, channel: int, kind: str) -> Channel:
    newest = tx.one(NewestDelivery, "newest_delivery", member=member, channel=channel, state="")
    if newest is None:
        return Channel(kind=kind, newest=0, state="")
    found = {
        state: tx.one(NewestDelivery, "newest_delivery", member=member, channel=channel, state=state) for state in ENDED
    }
    ended = {
        state: None if row is None or row.ended_at is None else tx.shown(row.ended_at) for state, row in found.items()
    }
    return Channel(
        kind=kind,
        newest=newest.letter,
        state=newest.state,
        delivered_at=ended["delivered"],
        failed_at=ended["failed"],
        reason=newest.reason,
    )


ENDED = ("delivered", "failed")

NOTIFY = Act("notify", Notify, Notified, notify, shown_to_agents=ROOM_OPERATORS, repeats=True)
READ_CHANNELS = Read("channels", ReadChannels, read_channels)
