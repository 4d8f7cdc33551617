"""What happened while a person was away, in at most sixty lines."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from teamroom.server.acts.overnight.broke import Broken
from teamroom.server.acts.overnight.overnight import Night
from teamroom.server.acts.overnight.sections import Section
from teamroom.server.acts.overnight.stops import Stopped
from teamroom.server.acts.overnight.waits import Waiting
from teamroom.server.acts.overnight.work import Doer, Held
from teamroom.server.rules.hooks import with_span
from teamroom.server.rules.spans import duration
from teamroom.server.rules.text import cite_block, inline, state_in_words
from teamroom.tools.words.authorizations import render_authorization
from teamroom.tools.words.phrases import count

Ago = Callable[[str], str]


def render_night(night: Night) -> str:
    """A night, in at most sixty lines."""
    ago = partial(_span_since, until=night.until)
    receipts = f"read_receipts after {night.after}" if night.reads_receipts else f"teamroom://stream/{night.after}"
    asks = "teamroom://stream" if set(night.waits.left_out) == {"ask"} else "read_board"
    return "\n".join(
        [
            _render_head(night),
            _render_pace(night),
            *_render_section("Waits for a person", night.waits, partial(_render_waiting, ago=ago), asks),
            *_render_section("Broke, and who noticed", night.broke, partial(_render_broken, ago=ago), receipts),
            *_render_section("Stopped", night.stopped, partial(_render_stopped, ago=ago), receipts),
            *_render_section("Has what now", night.has, partial(_render_held, ago=ago), "read_board"),
            *_render_section("Done", night.done, _render_doer, receipts),
            *(_render_section("Allowed", night.allowed, render_authorization, "who") if night.allowed.total else ()),
        ]
    )


def _render_head(night: Night) -> str:
    looked = ", since you last looked" if night.since_last_look else ""
    opened = count(night.tasks.get("open", 0), "open task")
    span = duration(_seconds(night.since, night.until))
    return f"{night.since} to {night.until} ({span}{looked}): {count(night.entries, 'log entry')}; {opened}."


def _render_pace(night: Night) -> str:
    pace = night.pace
    most = max(pace.entries, default=0)
    return f"Log entries in steps of {duration(pace.step_seconds)}, at most {most} in one: {pace.bars}"


def _render_section(title: str, section: Section[Any], line: Callable[[Any], str], see: str) -> list[str]:
    if not section.total:
        return [f"{title}: nothing."]
    lines = [f"{title} ({section.total}):", *(f"- {line(thing)}" for thing in section.shown)]
    if section.left_out:
        lines.append(f"- and {sum(section.left_out.values())} more ({section.rest}): {see}")
    return lines


def _render_waiting(waiting: Waiting, ago: Ago) -> str:
    """One line for something that waits for a person."""
    person = f"@{waiting.person}" if waiting.person else "anybody"
    age, by = ago(waiting.since), f"@{waiting.by}"
    what = {
        "escalation": f"of {by} has not moved for {age}, {count(waiting.times, 'reminder')}; {person} was notified",
        "decision": f"has waited {age} for {person} to decide until {waiting.until}, asked by {by}",
        "ask": f"has waited {age} for an answer from {person}, asked by {by}",
        "review": f"has waited {age} for a review by {person}, completed by {by}",
        "blocked": f"of {by} has waited {age} for {person}",
        "offer": f"was offered to {person} {age} ago by {by}, until {waiting.until}",
        "assigned": f"has waited {age} for {person} to start it, assigned by {by}",
    }[waiting.kind]
    command = f" ({waiting.command})" if waiting.command else ""
    return f"{waiting.subject} {what}" + (f": {inline(waiting.text)}" if waiting.text else "") + command


def _render_broken(broken: Broken, ago: Ago) -> str:
    """One line for something that broke."""
    over = "over: " if broken.over else ""
    times = f", {count(broken.times, 'time')}" if broken.times > 1 else ""
    became = f"; {broken.became}" if broken.became else ""
    if broken.kind == "alert":
        return f"{over}{broken.subject}: {broken.line} raised by @{broken.by} {ago(broken.at)} ago{became}"
    if broken.kind == "at_prompt":
        return f"{broken.subject}: {with_span(broken.line, ago(broken.at))}"
    seen = f"noticed by @{broken.by} {ago(broken.at)} ago"
    return f"{over}{broken.subject}, {seen}{times}{became}. {broken.line}"


def _render_stopped(stopped: Stopped, ago: Ago) -> str:
    """One line for a member, owner or room that is or was stopped."""
    until = f", until {stopped.until}" if stopped.until else ""
    why = f": {inline(stopped.reason)}"
    if stopped.standing != "active":
        return f"{stopped.target} is {stopped.standing}, by @{stopped.by} {ago(stopped.since)} ago{until}{why}"
    ended = f"was {stopped.ending} by @{stopped.ended_by}" if stopped.ended_by else "is active again, its pause expired"
    when = f" {ago(stopped.ended_at)} ago" if stopped.ended_at else ""
    return f"{stopped.target} {ended}{when}; stopped by @{stopped.by} {ago(stopped.since)} ago{until}{why}"


def _render_held(held: Held, ago: Ago) -> str:
    """One line for a task, its holder and its last progress."""
    late = " OVERDUE" if held.overdue else ""
    until = f" until {held.lease_until}" if held.lease_until else ""
    waits = cite_block(held.waits_for or "") if held.state == "blocked" else held.waits_for
    return (
        f"{held.task} {state_in_words(held.state)} @{held.holder} ({held.presence}){until}"
        + (f" for {waits}" if held.waits_for else "")
        + f"{late}: {inline(held.title)}{_render_last(held, ago)}"
    )


def _render_last(held: Held, ago: Ago) -> str:
    last = held.last
    if last is None:
        return ""
    evidence = f", {inline(last.evidence)}" if last.evidence else ""
    text = f": {inline(last.text)}" if last.text else ""
    return f"; {state_in_words(last.kind)} {ago(last.at)} ago by @{last.by}{text}{evidence}"


def _render_doer(doer: Doer) -> str:
    """One line for what a member did."""
    numbers = {
        "completed": doer.completed,
        "reviewed": doer.reviewed,
        "handed over": doer.handed_over,
        "took over": doer.took_over,
        "reports": doer.reports,
    }
    did = ", ".join(f"{name} {number}" for name, number in numbers.items() if number)
    newest = ", ".join(f"{task.task} {inline(task.title)}" for task in doer.newest)
    return f"@{doer.member} {did}" + (f"; newest {newest}" if newest else "")


def _span_since(at: str, until: str) -> str:
    return duration(max(_seconds(at, until), 0.0))


def _seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
