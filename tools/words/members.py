"""Members in words."""

from teamroom.server.acts.members.roster import HarnessShown, MemberShown, Roster, Stop
from teamroom.server.rules.hooks import describe_doing
from teamroom.server.rules.runtimes import describe_places
from teamroom.server.rules.text import cite, describe_mode, inline
from teamroom.server.rules.wakes import say_unverified
from teamroom.tools.words.capabilities import render_capability
from teamroom.tools.words.reminders import render_reminders


def render_roster(reply: Roster) -> str:
    """The members, one line each."""
    more = f"\nMore: who after {reply.next}" if reply.next else ""
    return ("\n".join(render_member(m) + render_reminders(m.reminders) for m in reply.members) or "No members.") + more


def render_former(names: list[str]) -> str:
    """The names that a member had before, without @, so that they are not taken for members; empty if it had none."""
    return f", formerly {', '.join(names)}" if names else ""


def render_stop(standing: str, stop: Stop) -> str:
    """Who stopped a member, until when and why."""
    whom = {"member": "", "owner": " with all agents of its owner", "room": " with the whole room"}[stop.level]
    until = f" until {stop.until}" if stop.until else ""
    return f"; {standing}{whom} by @{stop.by} since {stop.since}{until}: {cite(stop.reason)}"


def render_harness(harness: HarnessShown) -> str:
    """What a harness reports, and when it last asked the room before it used a tool of its own."""
    doing = describe_doing(harness.doing, harness.tool, harness.since or "")
    asked = f"{harness.name} last asked the gate {harness.gate}" if harness.gate else ""
    return "; ".join(part for part in (doing, asked) if part) or f"{harness.name} has hooks"


def render_member(member: MemberShown) -> str:
    """A member in one line."""
    can = ", ".join(render_capability(c) for c in member.capabilities)
    may = ", ".join(f"{cite(a.scope)} ({a.authorization} by @{a.by} until {a.until})" for a in member.authorizations)
    waits = ", ".join(f"{inline(rule.match)} (rule {rule.rule})" for rule in member.rules)
    upheld = f"{member.completions_upheld} of {member.completions_reviewed} completions upheld"
    return (
        f"@{member.name}{render_former(member.former)} ({member.kind} of @{member.owner}, {member.role}, "
        f"{describe_mode(member.mode, member.supported)}): {member.presence}, {member.reason}"
        + (render_stop(member.standing, member.stop) if member.stop else "")
        + (f"; holds {', '.join(member.tasks)}" if member.tasks else "")
        + ("; listening now" if member.listening else "")
        + (f"; {member.answers}" if member.answers else "")
        + say_unverified(member)
        + (f"; run since {member.run.since}, moved {member.run.moved}" if member.run else "")
        + (f"; {render_harness(member.harness)}" if member.harness else "")
        + (f"; {places}" if (places := describe_places(member.runtimes, member.on_two_hosts)) else "")
        + (f"; next wake {member.next_wake}" if member.next_wake else "")
        + (f"; last progress {member.last_progress}" if member.last_progress else "")
        + (f"; {upheld}" if member.completions_reviewed else "")
        + (f"; {can}" if can else "")
        + (f"; may {may}" if may else "")
        + (f"; its calls wait for a person: {waits}" if waits else "")
    )
