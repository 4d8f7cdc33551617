"""The operators' tools: the switch, the members, the receipts."""

from teamroom.server.acts.capabilities.plants import PLANT, Planted, Plants
from teamroom.server.acts.control.control import KILL, PAUSE, RESUME, Controlled
from teamroom.server.acts.control.policy import SET_POLICY, Policy, PolicySet
from teamroom.server.acts.letters.channels import NOTIFY, Channels, Notified
from teamroom.server.acts.members.members import ENROLL, REVOKE, Enrolled, Revoked
from teamroom.server.acts.receipts.receipts import READ_RECEIPTS, Receipt, Receipts
from teamroom.server.acts.receipts.redact import REDACT, Redacted
from teamroom.server.acts.tasks.repairs import REPAIR, Repaired
from teamroom.server.facts.roles import LOG_READERS
from teamroom.server.identity import Role
from teamroom.server.rules.text import code, logged, named, said
from teamroom.tools.dangers import ENROLLING, KILLING, REDACTING, RESUMING, REVOKING, SETTING
from teamroom.tools.tool import Tool
from teamroom.tools.words import counted, receipt

RUN_THE_ROOM: frozenset[Role] = frozenset({"owner", "operator"})
STOP_OTHERS: frozenset[Role] = frozenset({"owner", "operator", "watchdog"})


def controlled(reply: Controlled) -> str:
    """The reply of a control act in words."""
    until = f" until {reply.until}" if reply.until else ""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.target} is {reply.standing}{until}{receipt(reply)}{note}."


def enrolled(reply: Enrolled) -> str:
    """The reply of `enroll` in words."""
    if reply.token is None:
        return f"@{reply.name} was enrolled{receipt(reply)}; its token was shown once, then. For a new one: rotate."
    return f"@{reply.name} joins at {reply.url} with the token {reply.token} (shown once){receipt(reply)}."


def revoked(reply: Revoked) -> str:
    """The reply of `revoke` in words."""
    return f"{reply.tokens} token{'s' if reply.tokens != 1 else ''} of @{reply.name} revoked{receipt(reply)}."


def planted(reply: Planted) -> str:
    """The reply of `plant` in words."""
    if not reply.read and not reply.where and reply.value is None:
        return f"{named(reply.capability)} is provable no longer{receipt(reply)}."
    value = f"the value {reply.value} (shown once)" if reply.value else "its value, which was shown once"
    where = f" ({said(reply.where)})" if reply.where else ""
    found = f"; members find it by {code(reply.read)}" if reply.read else ""
    return (
        f"{named(reply.capability)} is provable{receipt(reply)}: put {value} where it stands{where}{found}. "
        f"{counted(reply.asked, 'member')} asked."
    )


def plants(reply: Plants) -> str:
    """What is planted, one capability a line, without the values."""
    lines = [
        f"{named(p.capability)}, planted by @{p.by} at {p.at}"
        + (f": {code(p.read)}" if p.read else "")
        + (f" {said(p.where)}" if p.where else "")
        for p in reply.plants
    ]
    more = ["There are more."] if reply.more else []
    return "\n".join([*lines, *more]) or "Nothing is planted."


def repaired(reply: Repaired) -> str:
    """The reply of `repair` in words."""
    tries = len(reply.tried_seconds_ago)
    tried = f" Restarted {counted(tries, 'time')} in a day." if tries else ""
    if reply.task is None:
        return f"The runtime of @{reply.name} waits for no repair.{tried}"
    held = f" with @{reply.holder}" if reply.holder else ", given up before" if reply.released else ""
    return f"{reply.task} repairs the runtime of @{reply.name}: {reply.state}{held}{receipt(reply)}.{tried}"


def policy_set(reply: PolicySet) -> str:
    """The reply of `set_policy` in words."""
    note = f"; {reply.note}" if reply.note else ""
    return f"{reply.name} is {reply.value} now ({reply.origin}), {reply.before} before{receipt(reply)}{note}."


def policy(reply: Policy) -> str:
    """The policy in words, one value a line, what cannot be read first."""
    lines = [f"UNREADABLE, so the room denies: {name}. Set what it should be: set_policy" for name in reply.unreadable]
    for line in reply.values:
        by = f", set by @{line.by} at {line.at}" if line.by else ""
        lines.append(f"{line.name} {line.value} ({line.origin}{by}): {line.about}")
    return "\n".join(lines)


def notified(reply: Notified) -> str:
    """The reply of `notify` in words."""
    return f"A test letter is on its way to @{reply.name} by {', '.join(reply.channels)}{receipt(reply)}."


def channels(reply: Channels) -> str:
    """Who is told outside the room, one channel a line: what kind it is, and what became of its newest letters."""
    lines = [
        f"@{person.name} {at} {channel.kind}: {channel.words}"
        for person in reply.people
        for at, channel in enumerate(person.channels, 1)
    ]
    held = [f"{counted(reply.held, 'notice')} held"] if reply.held else []
    return "\n".join([*lines, *held]) or "Nobody is told outside the room."


def redacted(reply: Redacted) -> str:
    """The reply of `redact` in words."""
    more = f" Go on with after {reply.after}." if reply.after is not None else ""
    return f"{counted(reply.entries, 'entry')} about {reply.what} lost their content{receipt(reply)}.{more}"


def receipt_line(entry: Receipt) -> str:
    """An entry of the log in one line."""
    what = logged(entry.summary) if entry.summary else f"{entry.act} {entry.subject} (content taken away)"
    return f"{entry.seq} {entry.at} {what}"


def receipts(reply: Receipts) -> str:
    """The reply of `read_receipts` in words."""
    return "\n".join([*(receipt_line(entry) for entry in reply.receipts), f"cursor {reply.cursor}"])


TOOLS = (
    Tool(
        "pause",
        "Stop a member, an owner's agents (owner:NAME) or the room, at once: no act of theirs commits after this.",
        PAUSE,
        controlled,
        roles=STOP_OTHERS,
        people=True,
        destroys=True,
    ),
    Tool(
        "repair",
        "See the repair of a member's runtime that is not finished; with found, ask its watchdogs for one.",
        REPAIR,
        repaired,
        roles=STOP_OTHERS,
    ),
    Tool(
        "resume",
        "Let go on what was paused.",
        RESUME,
        controlled,
        roles=RUN_THE_ROOM,
        people=True,
        danger=RESUMING,
    ),
    Tool(
        "kill",
        "End a member: its tokens die, its tasks are free again, its offers are void.",
        KILL,
        controlled,
        roles=frozenset({"owner"}),
        people=True,
        destroys=True,
        danger=KILLING,
    ),
    Tool(
        "enroll",
        "Bring a member in and get its token, shown once; rotate for a new token, revive after a kill.",
        ENROLL,
        enrolled,
        roles=RUN_THE_ROOM,
        danger=ENROLLING,
    ),
    Tool(
        "revoke",
        "End a member's tokens, or those with a label.",
        REVOKE,
        revoked,
        roles=RUN_THE_ROOM,
        destroys=True,
        danger=REVOKING,
    ),
    Tool(
        "plant",
        "Make a capability provable. The reply has a value, shown once, to put where the capability stands; members "
        "that declare it are then asked for its hash.",
        PLANT,
        planted,
        roles=RUN_THE_ROOM,
        people=True,
    ),
    Tool(
        "set_policy",
        "Change how the room runs, from the next act on: who counts as able (trust: declared, attested, proven), caps, "
        "leases. Without a value the room's settings decide again. teamroom://policy shows it.",
        SET_POLICY,
        policy_set,
        roles=frozenset({"owner"}),
        danger=SETTING,
    ),
    Tool(
        "redact",
        "Take the content of a message, a task, an offer or an entry of the log away, or of all that is old. Numbers "
        "and hashes stay, and the log still verifies.",
        REDACT,
        redacted,
        roles=frozenset({"owner"}),
        destroys=True,
        danger=REDACTING,
    ),
    Tool(
        "notify",
        "Send a person a test letter by its channels outside the room; teamroom://channels says whether it arrived.",
        NOTIFY,
        notified,
        roles=RUN_THE_ROOM,
        people=True,
    ),
    Tool(
        "read_receipts",
        "Read the log: who did what, on what, with what outcome.",
        READ_RECEIPTS,
        receipts,
        roles=LOG_READERS,
        reads=True,
    ),
)
