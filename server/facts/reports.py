"""What members' harnesses report, as the room shows it."""

from teamroom.server.rules.text import REDACTED
from teamroom.server.store.words import is_hidden_text


def show_report(stored: str) -> str:
    """A text that a harness reported, as it is shown: not what a redaction has hidden."""
    return REDACTED if is_hidden_text(stored) else stored
