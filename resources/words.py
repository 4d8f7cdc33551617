"""Words for what only resources show."""

from teamroom.server.acts.capabilities.plants import Plants
from teamroom.server.acts.control.policy import Policy
from teamroom.server.acts.letters.channels import Channels
from teamroom.server.acts.presence.health import HealthShown, PartShown
from teamroom.server.acts.presence.me import AskDue, Inbox, Me
from teamroom.server.acts.receipts.receipts import Receipt, Stream
from teamroom.server.rules.text import backtick, cite, inline
from teamroom.tools.words.authorizations import render_authorization
from teamroom.tools.words.capabilities import render_capability
from teamroom.tools.words.phrases import count, list_lines
from teamroom.tools.words.presence import render_pending, render_wake
from teamroom.tools.words.tasks import render_held_task


def render_me(reply: Me) -> str:
    """The caller: name, standing, tasks and capabilities."""
    until = f" until {reply.until}" if reply.until else ""
    bound = f" by @{reply.by}{until}: {inline(reply.reason or '')}" if reply.by else ""
    return (
        f"You are @{reply.name}, {reply.kind} of @{reply.owner}, role {reply.role}, mode {reply.mode}. "
        f"You are {reply.standing}{bound}. cursor {reply.cursor}"
        + list_lines("Your tasks", [render_held_task(task) for task in reply.tasks])
        + list_lines("Your capabilities", [render_capability(c) for c in reply.capabilities])
        + list_lines("You are authorised", [render_authorization(a) for a in reply.authorizations])
    )


def render_inbox(reply: Inbox) -> str:
    """What waits for the caller, asks first."""
    return (
        f"cursor {reply.cursor}"
        + list_lines("Asked of you (post_message with reply_to answers)", map(_render_ask, reply.asks))
        + list_lines("Wakes", [render_wake(w) for w in reply.wakes])
        + render_pending(reply)
        + list_lines(
            "Agents of yours that need you", [f"@{one.name} ({one.presence}): {one.reason}" for one in reply.suspects]
        )
    )


def _render_ask(ask: AskDue) -> str:
    return f"{ask.message} @{ask.from_} at {ask.at}: {inline(ask.summary)}"


def render_stream(reply: Stream) -> str:
    """A page of the stream, one line per entry."""
    return "\n".join([*(f"{e.seq} {e.at[11:16]} {e.line}" for e in reply.entries), f"cursor {reply.cursor}"])


def render_receipt(reply: Receipt) -> str:
    """One receipt."""
    return (
        f"{reply.seq} {reply.at} @{reply.actor} (of @{reply.owner}) {reply.act} {reply.subject}: {reply.outcome}\n"
        f"{reply.summary}\nhash {reply.hash}"
    )


def render_plants(reply: Plants) -> str:
    """Planted capabilities, one line each, without the values."""
    lines = [
        f"{cite(p.capability)}, planted by @{p.by} at {p.at}"
        + (f": {backtick(p.read)}" if p.read else "")
        + (f" {inline(p.where)}" if p.where else "")
        for p in reply.plants
    ]
    more = ["There are more."] if reply.more else []
    return "\n".join([*lines, *more]) or "Nothing is planted."


def render_policy(reply: Policy) -> str:
    """The policy, one line per value; unreadable values come first."""
    lines = [
        f"UNREADABLE: {name}. The room refuses what needs it until you set it with set_policy."
        for name in reply.unreadable
    ]
    for line in reply.values:
        by = f", set by @{line.by} at {line.at}" if line.by else ""
        lines.append(f"{line.name} {line.value} ({line.origin}{by}): {line.about}")
    return "\n".join(lines)


def render_health(reply: HealthShown) -> str:
    """Each part in one line. A bad one without which the room is not ready says so."""
    return "\n".join(render_part(part) for part in reply.parts)


def render_part(part: PartShown) -> str:
    """A part of the room: its state, its last sign of life, and its own words."""
    ago = "" if part.last is None else f", last sign of life {part.last} ({part.seconds_ago:.0f} s ago)"
    needed = "; the room is not ready without it" if part.needed and part.state != "ok" else ""
    return f"{part.part}: {part.state}{ago}{f': {part.detail}' if part.detail else ''}{needed}"


def render_channels(reply: Channels) -> str:
    """The people who are reached outside the room, one line per channel: its kind and its newest deliveries."""
    lines = []
    for person in reply.people:
        if person.settings is not None:
            lines.append(f"@{person.name}: {person.settings.words}")
        lines += [
            f"@{person.name} {channel.number or 'room.toml'} {channel.kind}: {channel.words}"
            for channel in person.channels
        ]
    held = [f"{count(reply.held, 'notice')} waiting"] if reply.held else []
    return "\n".join([*lines, *held]) or "Nobody is notified outside the room."
