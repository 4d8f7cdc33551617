"""Reminders in words."""

from teamroom.server.acts.reminders.reminders import Reminder, Slot
from teamroom.tools.words.phrases import counted, listed


def reminded(slots: list[Slot]) -> str:
    """Reminders that were sent or left out, and why."""
    return listed("Reminders", map(Slot.line, slots))


def reminder(owed: Reminder) -> str:
    """Something that the caller owes in one line."""
    return f"{owed.rule} {owed.subject} since {owed.since}, {counted(owed.times, 'reminder')}, the last {owed.at}"
