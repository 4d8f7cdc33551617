"""The tools of being here."""

from teamroom.server.acts.capabilities.capabilities import DECLARE_CAPABILITIES, Declared
from teamroom.server.acts.capabilities.probes import Probe
from teamroom.server.acts.members.roster import WHO, MemberShown, Roster
from teamroom.server.acts.presence.presence import (
    CHECK_IN,
    HEARTBEAT,
    WAKES_WAITING,
    Beat,
    CheckedIn,
    TaskHeld,
    Waited,
    Wake,
)
from teamroom.server.acts.reminders.reminders import Reminder
from teamroom.server.acts.tasks.hand_offs import OfferShown
from teamroom.server.facts.capability import CapabilityShown
from teamroom.server.facts.reviewer import ReviewDue
from teamroom.server.rules.text import code, named, said
from teamroom.tools.tool import Tool
from teamroom.tools.words import counted, listed, receipt, reminded, shortened


def review(due: ReviewDue) -> str:
    """A completion that waits for the caller, in one line."""
    why = f" ({due.why})" if due.why else ""
    return f"{due.task} by @{due.by} since {due.since}{why}: {said(due.title)}"


REMINDED = "You were reminded, and still owe (report on it, hand it off, or snooze it with update_task)"

PROVE = "Prove what you reach (declare_capabilities with proofs)"
ANSWER_PROBES = (
    "run each command where you work, then declare_capabilities with proofs; what you do not reach, declare no more."
)


def wake(wake: Wake) -> str:
    """A wake in one line."""
    times = f" ({wake.count} wakes)" if wake.count > 1 else ""
    return f"{wake.seq} {wake.reason} {wake.subject} from @{wake.from_}{times}: {said(wake.line)}"


def task_held(task: TaskHeld) -> str:
    """A task of the caller's in one line."""
    until = f", lease until {task.lease_until}" if task.lease_until else ""
    return f"{task.task} {task.state}, fence {task.fence}{until}: {said(task.title)} by @{task.creator}"


def offer(offer: OfferShown) -> str:
    """An offer with what its acceptance must prove."""
    proofs = "".join(
        f"\n  - {a.kind} {named(a.ref)}" + (f": prove it with {code(a.command)}" if a.command else " (listed)")
        for a in offer.artifacts
    )
    needs = f" needs {', '.join(map(named, offer.needs))};" if offer.needs else ""
    return (
        f"{offer.offer} {offer.task} from @{offer.from_} until {offer.expires_at};{needs} "
        f"{said(offer.title)} by @{offer.creator}; @{offer.from_} says {shortened(offer.note)}{proofs}"
    )


def reminder(owed: Reminder) -> str:
    """Something that the caller owes in one line."""
    return f"{owed.rule} {owed.subject} since {owed.since}, {counted(owed.times, 'reminder')}, the last {owed.at}"


def checked_in(reply: CheckedIn) -> str:
    """The reply of `check_in` in words."""
    return (
        f"You are {reply.standing}, mode {reply.mode}. cursor {reply.cursor}, {counted(reply.changes, 'entry')} "
        f"since your last{receipt(reply)}."
        + listed("Wakes", [wake(w) for w in reply.wakes])
        + listed("Your tasks", [task_held(t) for t in reply.tasks])
        + listed("Offered to you (answer_hand_off)", [offer(o) for o in reply.offers])
        + listed(PROVE, map(probe, reply.probes))
        + listed(REMINDED, map(reminder, reply.reminders))
        + listed("The room asks", [] if reply.challenge is None else [said(reply.challenge)])
        + listed(
            "Waiting for your review (read_board shows the evidence, review_task judges)", map(review, reply.reviews)
        )
    )


def after_check_in(reply: CheckedIn) -> str:
    """What to do after `check_in`."""
    if reply.challenge is not None:
        return "answer the room's question with heartbeat, then act on the rest."
    if reply.wakes:
        return f"act on your wakes; check_in with after {reply.cursor} says that you have seen them."
    if reply.offers:
        return "answer_hand_off each offer to you."
    if reply.probes:
        return ANSWER_PROBES
    if reply.reviews:
        first = reply.reviews[0].task
        return f"read_board task {first}, check its evidence yourself, then review_task."
    if reply.tasks:
        return "go on with your tasks."
    return "nothing waits for you: claim_task, or wait_for_wake."


def beat(reply: Beat) -> str:
    """The reply of `heartbeat` in words."""
    if reply.standing == "paused":
        until = f" until {reply.until}" if reply.until else ""
        return f"You are paused by @{reply.by}{until}: {said(reply.reason or '')}."
    waiting = f"{counted(reply.pending.wakes, 'wake')} and {counted(reply.pending.offers, 'offer')}"
    return f"You are active{receipt(reply)}; waiting for you: {waiting}."


def after_beat(reply: Beat) -> str | None:
    """What to do after `heartbeat`."""
    if reply.standing == "paused":
        return "stop and wait; call heartbeat again, and go on once it says active."
    return "check_in." if reply.pending.wakes or reply.pending.offers else None


def waited(reply: Waited) -> str:
    """The reply of `wait_for_wake` in words."""
    if reply.superseded:
        return f"Superseded: another session of yours listens now, and is told of your wakes. cursor {reply.cursor}"
    if not reply.wakes:
        return f"Nothing yet. cursor {reply.cursor}"
    return f"cursor {reply.cursor}" + listed("Wakes", [wake(w) for w in reply.wakes])


def after_waiting(reply: Waited) -> str:
    """What to do after `wait_for_wake`."""
    if reply.superseded:
        return "end your turn here; do not wait again, unless the other session has stopped."
    again = f"wait_for_wake with after {reply.cursor}"
    if reply.proofs:
        again = f"check_in, which says what to prove, then {again}"
    return f"act on your wakes, then {again}." if reply.wakes else f"{again}, or end your turn."


def capability(shown: CapabilityShown) -> str:
    """A capability with how it is known, by whom and until when."""
    by = f" by @{shown.by}" if shown.by and shown.state == "attested" else ""
    by = f", planted by @{shown.by}" if shown.by and shown.state == "proven" else by
    when = f" {'since' if shown.state == 'expired' else 'until'} {shown.until}" if shown.until else ""
    idle = "" if shown.counts else ", does not count"
    return f"{named(shown.capability)} ({shown.state}{by}{when}{idle})"


def member(member: MemberShown) -> str:
    """A member in one line."""
    can = ", ".join(capability(c) for c in member.capabilities)
    upheld = f"{member.completions_upheld} of {member.completions_reviewed} completions upheld"
    return (
        f"@{member.name} ({member.kind} of @{member.owner}, {member.role}, {member.mode}): {member.presence}, "
        f"{member.reason}"
        + ("; a call of it waits now" if member.listening else "")
        + (f"; next wake {member.next_wake}" if member.next_wake else "")
        + (f"; last progress {member.last_progress}" if member.last_progress else "")
        + (f"; {upheld}" if member.completions_reviewed else "")
        + (f"; {can}" if can else "")
    )


def roster(reply: Roster) -> str:
    """The reply of `who` in words."""
    more = f"\nMore: who after {reply.next}" if reply.next else ""
    return ("\n".join(member(m) + reminded(m.reminders) for m in reply.members) or "Nobody.") + more


def probe(probe: Probe) -> str:
    """A probe with the command that answers it."""
    where = f" ({said(probe.where)})" if probe.where else ""
    return (
        f"{named(probe.capability)}{where}: @{probe.planted_by} takes the first word that {code(probe.command)} prints"
    )


def declared(reply: Declared) -> str:
    """The reply of `declare_capabilities` in words."""
    what = ", ".join(map(named, reply.capabilities)) or "nothing"
    if reply.attested:
        return f"You attest that @{reply.member} reaches {what}{receipt(reply)}."
    if reply.withdrawn:
        return f"Nobody attests any more that @{reply.member} reaches {what}{receipt(reply)}."
    known = [capability(c) for c in reply.states if c.state != "declared" or not c.counts]
    return f"You declare {what}{receipt(reply)}." + listed("Known", known) + listed(PROVE, map(probe, reply.probes))


def after_declaring(reply: Declared) -> str | None:
    """What to do after `declare_capabilities`."""
    return ANSWER_PROBES if reply.probes else None


TOOLS = (
    Tool(
        "check_in",
        "Begin here, and at the start of every episode: wakes, your tasks with their fences, offers to you, standing. "
        "Give the last cursor as `after` to acknowledge what you have seen.",
        CHECK_IN,
        checked_in,
        next=after_check_in,
        core=True,
    ),
    Tool(
        "heartbeat",
        "Say you are here, and learn whether you are paused. With task, a new note and busy_until (seconds from now, "
        "at most 4 h) it declares long work and renews the lease. answer is for a challenge in your inbox.",
        HEARTBEAT,
        beat,
        next=after_beat,
    ),
    Tool(
        "wait_for_wake",
        "Block until something is addressed to you, at most 50 s; then act on it, or call again with the cursor.",
        WAKES_WAITING,
        waited,
        next=after_waiting,
        core=True,
        waits=True,
        reads=True,
    ),
    Tool(
        "who",
        "See who is in the room: mode, presence, standing, capabilities, expected response. By name, or who has a "
        "capability.",
        WHO,
        roster,
        reads=True,
    ),
    Tool(
        "declare_capabilities",
        'Say all that this runtime can reach, such as ["repo:acme/api", "tool:docker"]; it replaces what you said '
        'before. proofs answer probes: [{"capability": "repo:acme/api", "value": "…"}]. attest_for names a member of '
        "another owner that reaches them; withdraw takes that back.",
        DECLARE_CAPABILITIES,
        declared,
        next=after_declaring,
    ),
)
