"""The tools of being here."""

from teamroom.server.acts.capabilities import DECLARE_CAPABILITIES, Declared
from teamroom.server.acts.hand_offs import OfferShown
from teamroom.server.acts.presence import (
    CHECK_IN,
    HEARTBEAT,
    WAKES_WAITING,
    Beat,
    CheckedIn,
    TaskHeld,
    Waited,
    Wake,
)
from teamroom.server.acts.roster import WHO, MemberShown, Roster
from teamroom.server.rules.text import one_line
from teamroom.tools.tool import Tool
from teamroom.tools.words import SHOWN_CHARACTERS, listed, receipt


def wake(wake: Wake) -> str:
    """A wake in one line."""
    return f"{wake.seq} {wake.reason} {wake.subject} from @{wake.from_}: {wake.line}"


def task_held(task: TaskHeld) -> str:
    """A task of the caller's in one line."""
    until = f", lease until {task.lease_until}" if task.lease_until else ""
    return f"{task.task} {task.state}, fence {task.fence}{until}: {task.title}"


def offer(offer: OfferShown) -> str:
    """An offer with what its acceptance must prove."""
    proofs = "".join(
        f"\n  - {a.kind} {a.ref}" + (f": prove it with `{a.command}`" if a.command else " (listed)")
        for a in offer.artifacts
    )
    needs = f" needs {', '.join(offer.needs)};" if offer.needs else ""
    return (
        f"{offer.offer} {offer.task} from @{offer.from_} until {offer.expires_at};{needs} {offer.title}: "
        f"{one_line(offer.note, SHOWN_CHARACTERS)}{proofs}"
    )


def checked_in(reply: CheckedIn) -> str:
    """The reply of `check_in` in words."""
    quiet = not (reply.wakes or reply.tasks or reply.offers)
    return (
        f"You are {reply.standing}, mode {reply.mode}. cursor {reply.cursor}, {reply.changes} entries since your last"
        f"{receipt(reply)}."
        + listed("Wakes", [wake(w) for w in reply.wakes])
        + listed("Your tasks", [task_held(t) for t in reply.tasks])
        + listed("Offered to you (answer_hand_off)", [offer(o) for o in reply.offers])
        + ("\nNothing waits for you: claim_task, or wait_for_wake." if quiet else "")
    )


def beat(reply: Beat) -> str:
    """The reply of `heartbeat` in words."""
    if reply.standing == "paused":
        until = f" until {reply.until}" if reply.until else ""
        return f"You are paused by @{reply.by}{until}: {reply.reason}. Stop and wait."
    waiting = f"{reply.pending.wakes} wakes and {reply.pending.offers} offers wait"
    return f"You are active{receipt(reply)}; {waiting}" + (": check_in." if reply.pending.wakes else ".")


def waited(reply: Waited) -> str:
    """The reply of `wait_for_wake` in words."""
    if not reply.wakes:
        return f"Nothing yet. cursor {reply.cursor}: call wait_for_wake again with it as after."
    return f"cursor {reply.cursor}" + listed("Wakes", [wake(w) for w in reply.wakes])


def member(member: MemberShown) -> str:
    """A member in one line."""
    can = ", ".join(f"{c.capability} ({c.state})" for c in member.capabilities)
    upheld = f"{member.completions_upheld} of {member.completions_reviewed} completions upheld"
    return (
        f"@{member.name} ({member.kind} of @{member.owner}, {member.role}, {member.mode}): {member.presence}, "
        f"{member.reason}" + (f"; {upheld}" if member.completions_reviewed else "") + (f"; {can}" if can else "")
    )


def roster(reply: Roster) -> str:
    """The reply of `who` in words."""
    more = f"\nMore: who after {reply.next}" if reply.next else ""
    return ("\n".join(member(m) for m in reply.members) or "Nobody.") + more


def declared(reply: Declared) -> str:
    """The reply of `declare_capabilities` in words."""
    return f"You declare {', '.join(reply.capabilities) or 'nothing'}{receipt(reply)}."


TOOLS = (
    Tool(
        "check_in",
        "Begin here, and at the start of every episode: wakes, your tasks with their fences, offers to you, standing. "
        "Give the last cursor as `after` to acknowledge what you have seen.",
        CHECK_IN,
        checked_in,
    ),
    Tool(
        "heartbeat",
        "Say you are here, and learn whether you are paused. With task, a new note and busy_until (seconds from now, "
        "at most 4 h) it declares long work and renews the lease.",
        HEARTBEAT,
        beat,
    ),
    Tool(
        "wait_for_wake",
        "Block until something is addressed to you, at most 50 s; then act on it, or call again with the cursor.",
        WAKES_WAITING,
        waited,
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
        "before.",
        DECLARE_CAPABILITIES,
        declared,
    ),
)
