"""The letters of people outside the room: what each chose, the channels, their newest letters, and a test letter.

Nothing here has the address of a channel. The server's settings have some; those that people add are in a private file,
which the door writes. Replies show the kind and the number of a channel.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Name, Read, Reply, author
from teamroom.server.acts.letters.notices import GONE, write
from teamroom.server.facts.channels import (
    ROOM_CHANNELS,
    Channel,
    applied,
    find_channels,
    letter_settings,
    people_with_channels,
)
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.roles import EVERYBODY, LOG_READERS, ROOM_OPERATORS
from teamroom.server.facts.timers import cancel_timer, find_timer, postpone, schedule_digest
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.addresses import Address, KeptAddress
from teamroom.server.rules.notices import LetterSettings
from teamroom.server.rules.text import one_line
from teamroom.server.setting_values import CHANNELS, TIME_OF_DAY, check_zone, scheme
from teamroom.server.store.rows.letters import LetterSettingRow
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.rows.notices import NewestDelivery
from teamroom.server.store.transaction import Reading, Writing

NONE, ROOMS = "none", "room"
"""How a person says that there shall be no quiet hours or no digest, and that the room's setting shall apply."""


def _quiet(text: str) -> str:
    begin, dash, end = (part.strip() for part in text.strip().partition("-"))
    if text.strip().lower() in (NONE, ROOMS):
        return text.strip().lower()
    if not dash or not re.fullmatch(TIME_OF_DAY, begin) or not re.fullmatch(TIME_OF_DAY, end):
        raise ValueError("write quiet hours like 22:00-07:00; none means no quiet hours, room the room's")
    if begin == end:
        raise ValueError("quiet hours must not end when they begin; none means no quiet hours")
    return f"{begin}-{end}"


def _digest(text: str) -> str:
    found = text.strip().lower()
    if found not in (NONE, ROOMS) and not re.fullmatch(TIME_OF_DAY, found):
        raise ValueError("write the time of the digest like 08:00; none means no digest, room the room's time")
    return found


def _zone(text: str) -> str:
    return ROOMS if text.strip().lower() == ROOMS else check_zone(text.strip())


def _yes_or_no(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


Quiet = Annotated[str, Field(max_length=20, description="such as 22:00-07:00, none or room"), AfterValidator(_quiet)]
Digest = Annotated[str, Field(max_length=20, description="such as 08:00, none or room"), AfterValidator(_digest)]
Zone = Annotated[str, Field(max_length=64, description="such as Europe/Berlin, or room"), AfterValidator(_zone)]
PerHour = Annotated[int, Field(ge=0, le=100, description="letters in an hour; 0: the room's setting")]


Suspects = Annotated[
    Literal["yes", "no"], Field(description="whether to tell of suspects"), BeforeValidator(_yes_or_no)
]


class Notify(Arguments):
    """Arguments of `notify`. Without a change, it sends a test letter. `name`: who is meant, by default the caller."""

    name: Name | None = None
    quiet: Quiet | None = None
    per_hour: PerHour | None = None
    zone: Zone | None = None
    digest_time: Digest | None = None
    suspects: Suspects | None = None
    add_channel: Annotated[Address, Field(description="an Apprise URL")] | None = None
    remove_channel: Annotated[int, Field(ge=1, le=1_000_000, description="its number")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _keep_addresses_together(cls, given: Any) -> Any:
        """Refuse an address in a wrong place before anything repeats it."""
        if isinstance(given, dict):
            for name, value in given.items():
                if name != "add_channel" and "://" in str(value):
                    raise ValueError("an address of a channel belongs into add_channel alone")
        return given

    @property
    def choices(self) -> dict[str, Any]:
        """The settings that this call changes."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}

    @property
    def is_test(self) -> bool:
        """Whether this call only asks for a test letter."""
        return not self.choices and self.add_channel is None and self.remove_channel is None


SETTINGS = ("quiet", "per_hour", "zone", "digest_time", "suspects")


class LettersShown(BaseModel):
    """What applies to a person's letters. `own`: which of it the person chose; the rest is the room's."""

    quiet: str
    per_hour: int
    zone: str
    digest_time: str
    suspects: bool
    own: list[str]

    @property
    def words(self) -> str:
        """The settings in words."""
        parts = (
            f"quiet hours {self.quiet or NONE}",
            f"at most {self.per_hour} {'letter' if self.per_hour == 1 else 'letters'} an hour",
            f"daily digest {f'at {self.digest_time}' if self.digest_time else NONE}",
            f"time zone {self.zone}",
            f"told about suspects: {'yes' if self.suspects else 'no'}",
        )
        return "; ".join(parts)


class Notified(Reply):
    """Reply of `notify`: what applies to the person's letters now, and the kinds of the channels.

    `letter`: the number of the test letter, 0 for a change. `added`: the number of the channel that was added, else 0.
    """

    name: str
    letter: int = 0
    channels: list[str]
    settings: LettersShown
    added: int = 0
    note: str = ""


class ReadChannels(Arguments):
    """A read without arguments."""


class ChannelShown(BaseModel):
    """One channel of a person: its kind, the state of its newest letter, and the last delivery and failure.

    `number`: what the person calls it, 0 for one that only the server's settings change. `newest` is the number of its
    newest letter.
    """

    kind: str
    number: int = 0
    added_at: str | None = None
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
    """A person that has channels, or who asks. `is_here`: a person of this name is in the room."""

    name: str
    is_here: bool
    settings: LettersShown | None = None
    channels: list[ChannelShown]


class Channels(BaseModel):
    """The people with channels. `held`: how many notices are in no letter yet."""

    people: list[PersonReached]
    held: int


# ------------------------------------------------------------------ the act


def notify(tx: Writing, caller: Caller, arguments: Notify) -> Notified:
    """Change what applies to a person's letters, or send a test letter on each of the channels. Raises Refusal."""
    member = _person_meant(tx, caller, arguments)
    if arguments.is_test:
        return _send_test(tx, caller, member)
    before = tx.one(LetterSettingRow, "letter_setting", member=member.id) or NO_CHOICES
    after = before._replace(**{name: _stored(name, value) for name, value in arguments.choices.items()})
    did = _changes(tx, before, after)
    reply = Notified(name=member.name, channels=[], settings=_shown(applied(tx.settings, after), after))
    if arguments.remove_channel is not None:
        gone = _remove(tx, member, arguments.remove_channel)
        did.append(f"removed channel {gone.number} ({gone.kind})")
        reply.unused = [gone.mark]
    if arguments.add_channel is not None:
        reply.added = after.numbered + 1
        after = after._replace(numbered=reply.added)
        did.append(_add(tx, member, arguments.add_channel, reply.added))
    reply.channels = [channel.kind for channel in find_channels(tx, member.id, member.name)]
    if not did:
        reply.note = "nothing changed"
        return reply
    tx.run("set_letters", member=member.id, **after._asdict())
    tx.changed(topics.CHANNELS)
    _apply_at_once(tx, member)
    whose = "" if caller.member == member.id else f" for @{member.name}"
    line = one_line(f"@{caller.name} changed the letters{whose}: {'; '.join(did)}")
    reply.receipt = log.append(tx, author(caller), act="notify", subject=f"@{member.name}", summary=line)
    if whose:
        wake_members(tx, [member.id], reason="control", subject=f"@{member.name}", sender=caller.member, line=line)
    return reply


def _person_meant(tx: Reading, caller: Caller, arguments: Notify) -> MemberRow:
    """The person whose letters are meant. Raises Refusal."""
    name = arguments.name or caller.name
    member = tx.one(MemberRow, "member_by_name", name=name)
    if member is None or member.kind == "room":
        raise no_such_member(tx, name)
    is_own, subject = caller.member == member.id, f"@{member.name}"
    if arguments.is_test and not is_own and not caller.is_operator:
        raise Refusal(
            "not_allowed",
            "Only room owners and operators can test the channels of others.",
            "Name yourself, or ask one of them.",
        )
    if not arguments.is_test and not is_own and (caller.role != "owner" or caller.kind != "human"):
        raise Refusal(
            "not_allowed",
            "Only room owners can change the letters of others.",
            "Name yourself, or ask a room owner.",
            subject=subject,
        )
    if member.kind != "human":
        raise Refusal(
            "not_found",
            f"@{member.name} is an agent; channels reach people.",
            "Name a person.",
            subject=subject,
        )
    if arguments.add_channel is not None and not is_own:
        raise Refusal(
            "not_allowed",
            f"Only @{member.name} can add a channel for @{member.name}: its address is a secret of that person.",
            "Ask that person to run `teamroom letters channel add`.",
            subject=subject,
        )
    return member


def _send_test(tx: Writing, caller: Caller, member: MemberRow) -> Notified:
    channels = find_channels(tx, member.id, member.name)
    if not channels:
        raise Refusal(
            "not_found",
            f"@{member.name} has no channel.",
            f"@{member.name} can add one with `teamroom letters channel add`. Or ask the person who runs the server to "
            "add one under [notify] in room.toml and restart it.",
            subject=f"@{member.name}",
        )
    summary = f"@{caller.name} sent @{member.name} a test letter"
    seq = log.append(tx, author(caller), act="notify", subject=f"@{member.name}", summary=summary)
    letter = write(tx, member.id, member.name, "test", seq)
    row = tx.one(LetterSettingRow, "letter_setting", member=member.id) or NO_CHOICES
    kinds = [channel.kind for channel in channels]
    shown = _shown(applied(tx.settings, row), row)
    return Notified(receipt=seq, name=member.name, letter=letter, channels=kinds, settings=shown)


NO_CHOICES = LetterSettingRow(None, None, None, None, 0, 0)


def _stored(name: str, value: Any) -> Any:
    """What the database keeps of a choice: None for the room's setting."""
    if value == ROOMS or (name == "per_hour" and value == 0):
        return None
    if name == "suspects":
        return int(value == "yes")
    return "" if value == NONE else value


def _changes(tx: Reading, before: LetterSettingRow, after: LetterSettingRow) -> list[str]:
    """What a call changes, in words."""
    now, own = applied(tx.settings, after), _own(after)
    words = {
        "quiet": f"quiet hours {now.quiet or NONE}",
        "per_hour": f"at most {now.per_hour} an hour",
        "zone": f"time zone {now.zone}",
        "digest_time": f"digest {f'at {now.digest_time}' if now.digest_time else NONE}",
        "suspects": f"told about suspects: {'yes' if now.suspects else 'no'}",
    }
    changed = [name for name in SETTINGS if getattr(before, name) != getattr(after, name)]
    return [words[name] if name in own or name == "suspects" else f"{words[name]} (the room's)" for name in changed]


def _add(tx: Writing, member: MemberRow, address: Address, number: int) -> str:
    """Add a channel whose address the door has kept; returns what was done, in words. Raises Refusal."""
    assert isinstance(address, KeptAddress), "the door keeps each address before the act"
    own = [channel for channel in find_channels(tx, member.id, member.name) if channel.number]
    subject = f"@{member.name}"
    for channel in own:
        if channel.mark in address.same:
            raise Refusal(
                "conflict",
                f"Channel {channel.number} ({channel.kind}) has this address already.",
                "To test it, run `teamroom letters test`.",
                subject=subject,
            )
    if len(own) >= CHANNELS:
        raise Refusal(
            "too_large",
            f"@{member.name} has {len(own)} channels, and can have {CHANNELS}.",
            "Remove one first: `teamroom letters channel remove N`.",
            subject=subject,
        )
    if tx.number("count_own_channels") >= ROOM_CHANNELS:
        raise Refusal(
            "too_large",
            f"The people of this room have {ROOM_CHANNELS} channels, and can have no more.",
            "Ask others to remove channels that they no longer use.",
            subject=subject,
        )
    tx.run("add_channel", member=member.id, number=number, kind=address.kind, mark=address.mark, now=tx.now)
    tx.changed(topics.CHANNELS)
    return f"added channel {number} ({address.kind})"


def _remove(tx: Writing, member: MemberRow, number: int) -> Channel:
    """Remove a channel and what is pending on it; returns it as it was. Raises Refusal."""
    own = {c.number: c for c in find_channels(tx, member.id, member.name) if c.number}
    if number not in own:
        there = f"The channels are {', '.join(map(str, own))}." if own else "There is none."
        raise Refusal(
            "not_found",
            f"@{member.name} has no channel {number} that can be removed here. {there}",
            "Read teamroom://channels. One without a number is in the server's room.toml; ask who runs the server.",
            subject=f"@{member.name}",
        )
    gone = own[number]
    tx.run("remove_channel", member=member.id, number=number)
    tx.run("leave_out_deliveries", member=member.id, channel=gone.slot, reason=GONE, now=tx.now)
    tx.changed(topics.CHANNELS)
    return gone


def _apply_at_once(tx: Writing, member: MemberRow) -> None:
    """Let what waits be looked at again now, by the new settings; the digest is scheduled again."""
    cancel_timer(tx, "digest", member.id, member.id)
    schedule_digest(tx, member.id, member.name)
    notices = find_timer(tx, "notice", member.id, member.id)
    if notices is not None and notices.at > tx.now:
        postpone(tx, notices, tx.now)
        tx.effects.due = tx.now
    tx.run("look_at_letters_of", member=member.id, now=tx.now)
    tx.changed(topics.CHANNELS)
    tx.effects.letters = True


def _own(row: LetterSettingRow) -> list[str]:
    """Which settings a person chose."""
    return [name for name in SETTINGS if (row.suspects if name == "suspects" else getattr(row, name) is not None)]


def _shown(letters: LetterSettings, row: LetterSettingRow) -> LettersShown:
    values = {name: getattr(letters, name) for name in SETTINGS}
    return LettersShown(**values, own=_own(row))


# ------------------------------------------------------------------ the read


def read_channels(tx: Reading, caller: Caller, arguments: ReadChannels) -> Channels:
    """Return all channels to roles that read the log, and to others their own. A person is always among them."""
    found = channels_of(tx, None if caller.role in LOG_READERS else caller.member)
    if caller.kind == "human" and not any(person.name == caller.name for person in found.people):
        found.people.append(_person(tx, caller.name, tx.one(MemberRow, "member_by_name", name=caller.name)))
    return found


def channels_of(tx: Reading, only: int | None) -> Channels:
    """The channels of one person, or of all: those whom the settings name first, then those who added some."""
    rows = {name: tx.one(MemberRow, "member_by_name", name=name) for name in tx.settings.notify}
    named = {row.id for row in rows.values() if row is not None}
    more = [person.name for person in people_with_channels(tx) if person.id not in named]
    rows |= {name: tx.one(MemberRow, "member_by_name", name=name) for name in more}
    people = [_person(tx, name, row) for name, row in rows.items() if only is None or (row and row.id == only)]
    return Channels(people=people, held=tx.number("count_notices_held"))


def _person(tx: Reading, name: str, row: MemberRow | None) -> PersonReached:
    if row is None or row.kind != "human":
        urls = tx.settings.notify.get(name, ())
        kinds = [ChannelShown(kind=scheme(url), newest=0, state="") for url in urls]
        return PersonReached(name=name, is_here=False, channels=kinds)
    shown = [_channel(tx, row.id, channel) for channel in find_channels(tx, row.id, row.name)]
    choices = tx.one(LetterSettingRow, "letter_setting", member=row.id) or NO_CHOICES
    settings = _shown(letter_settings(tx, row.id), choices)
    return PersonReached(name=row.name, is_here=True, settings=settings, channels=shown)


def _channel(tx: Reading, member: int, channel: Channel) -> ChannelShown:
    about: dict[str, Any] = {"kind": channel.kind, "number": channel.number}
    if channel.added_at is not None:
        about["added_at"] = tx.shown(channel.added_at)
    newest = tx.one(NewestDelivery, "newest_delivery", member=member, channel=channel.slot, state="")
    if newest is None:
        return ChannelShown(**about, newest=0, state="")
    found = {
        state: tx.one(NewestDelivery, "newest_delivery", member=member, channel=channel.slot, state=state)
        for state in ENDED
    }
    ended = {
        state: None if row is None or row.ended_at is None else tx.shown(row.ended_at) for state, row in found.items()
    }
    return ChannelShown(
        **about,
        newest=newest.letter,
        state=newest.state,
        delivered_at=ended["delivered"],
        failed_at=ended["failed"],
        reason=newest.reason,
    )


ENDED = ("delivered", "failed")

NOTIFY = Act("notify", Notify, Notified, notify, roles=EVERYBODY, shown_to_agents=ROOM_OPERATORS, address="add_channel")
READ_CHANNELS = Read("channels", ReadChannels, read_channels)
