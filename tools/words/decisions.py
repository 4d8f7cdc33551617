"""Decisions in words."""

from teamroom.server.acts.decisions.decisions import Decisions
from teamroom.server.facts.decision import DecisionShown
from teamroom.server.rules.text import cite, inline
from teamroom.tools.words.phrases import count, quote, shorten
from teamroom.tools.words.reminders import render_reminders


def render_decision(shown: DecisionShown) -> str:
    """A decision in one line."""
    to = " or ".join(f"@{name}" for name in shown.to)
    options = " / ".join(map(inline, shown.options))
    if shown.state == "open":
        return (
            f"{shown.decision} waits for {to} until {shown.until}, asked by @{shown.by}: "
            f"{inline(shown.question)} Options: {options}"
        )
    if shown.state == "decided":
        note = f", with the note {shorten(shown.note)}" if shown.note else ""
        answer = inline(shown.answer) if shown.answer is not None else "an answer that was redacted"
        return (
            f"{shown.decision} was decided by @{shown.decided_by} at {shown.settled_at}: {inline(shown.question)} "
            f"{answer}{note}"
        )
    by = f" by {shown.replaced_by}" if shown.replaced_by else ""
    nothing = ", so nothing was decided" if shown.state == "expired" else ""
    return f"{shown.decision} is {shown.state}{by}{nothing}: {inline(shown.question)}"


def render_decision_in_full(shown: DecisionShown) -> str:
    """A decision with its detail, its artifacts and its digest."""
    about = [f"about {shown.task}"] if shown.task else []
    about += [f"instead of {shown.replaces}"] if shown.replaces else []
    about += [f"digest {shown.digest}"] if shown.digest else []
    artifacts = [
        f"- {artifact['kind']} {cite(artifact['ref'])}"
        + (f", hash {artifact['sha256']}" if artifact.get("sha256") else "")
        for artifact in shown.artifacts
    ]
    detail = [quote(shown.detail, shown.by)] if shown.detail else []
    return "\n".join([render_decision(shown), *([", ".join(about)] if about else []), *detail, *artifacts])


def render_decisions(reply: Decisions) -> str:
    """One decision in full, or the open ones, one line each."""
    if len(reply.decisions) == 1 and not reply.more:
        return render_decision_in_full(reply.decisions[0]) + render_reminders(reply.reminders)
    more = [f"and {count(reply.more, 'decision')} more"] if reply.more else []
    return "\n".join([*map(render_decision, reply.decisions), *more]) or "No decision is open."
