"""Reminders in words."""

from teamroom.server.acts.reminders.reminders import Reminder
from teamroom.server.facts.owed import Slot
from teamroom.tools.words.phrases import count, list_lines


def render_reminders(slots: list[Slot]) -> str:
    """Reminders that were sent, held or silent, and why."""
    return list_lines("Reminders", map(Slot.line, slots))


def render_owed(owed: Reminder) -> str:
    """One line for something that the caller owes."""
    return f"{owed.rule} {owed.subject} since {owed.since}, {count(owed.times, 'reminder')}, the last {owed.at}"
