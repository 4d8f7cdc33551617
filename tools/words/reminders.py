"""Reminders in words."""

from teamroom.server.acts.reminders.reminders import Reminder, Slot
from teamroom.tools.words.phrases import count, list_lines


def render_reminders(slots: list[Slot]) -> str:
    """Reminders that were sent or left out, and why."""
    return list_lines("Reminders", map(Slot.line, slots))


def render_owed(owed: Reminder) -> str:
    """Something that the caller owes in one line."""
    return f"{owed.rule} {owed.subject} since {owed.since}, {count(owed.times, 'reminder')}, the last {owed.at}"
