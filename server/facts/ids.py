"""Ids: parsed at the edge into numbers, and printed in this one place.

A task is written `T-12`, a message `M-7`, an offer `O-3`, a decision `D-4`,
an authorisation `A-5`, and a member `@name`.
"""

from typing import Literal, NewType

LARGEST_NUMBER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

BEYOND = 0
"""The number for an id that is larger than any in the room; nothing has it."""

TaskNumber = NewType("TaskNumber", int)
MessageNumber = NewType("MessageNumber", int)
OfferNumber = NewType("OfferNumber", int)
DecisionNumber = NewType("DecisionNumber", int)
AuthorizationNumber = NewType("AuthorizationNumber", int)

Kind = Literal["task", "message", "offer", "decision", "authorization"]

LETTERS: dict[str, Kind] = {"T": "task", "M": "message", "O": "offer", "D": "decision", "A": "authorization"}


def task_name(number: int) -> str:
    """A task as it is written: `T-12`."""
    return f"T-{number}"


def message_name(number: int) -> str:
    """A message as it is written: `M-7`."""
    return f"M-{number}"


def offer_name(number: int) -> str:
    """An offer as it is written: `O-3`."""
    return f"O-{number}"


def decision_name(number: int) -> str:
    """A decision as it is written: `D-4`."""
    return f"D-{number}"


def authorization_name(number: int) -> str:
    """An authorisation as it is written: `A-5`."""
    return f"A-{number}"


def parse_task(text: str) -> TaskNumber:
    """The number of a task, as people write it: `T-12`, `t-12`, `#12` or `12`. Raises ValueError that says how."""
    return TaskNumber(_written_number(text, "T", 'a task is written like "T-12"'))


def parse_message(text: str) -> MessageNumber:
    """The number of a message, as people write it. Raises ValueError that says how."""
    return MessageNumber(_written_number(text, "M", 'a message is written like "M-7"'))


def parse_offer(text: str) -> OfferNumber:
    """The number of an offer, as people write it. Raises ValueError that says how."""
    return OfferNumber(_written_number(text, "O", 'an offer is written like "O-3"'))


def parse_decision(text: str) -> DecisionNumber:
    """The number of a decision, as people write it. Raises ValueError that says how."""
    return DecisionNumber(_written_number(text, "D", 'a decision is written like "D-4"'))


def parse_authorization(text: str) -> AuthorizationNumber:
    """The number of an authorisation, as people write it. Raises ValueError that says how."""
    return AuthorizationNumber(_written_number(text, "A", 'an authorisation is written like "A-5"'))


def _written_number(text: str, letter: str, how: str) -> int:
    kind, dash, digits = text.strip().rpartition("-")
    if not dash:
        kind, digits = letter, digits.removeprefix("#")
    if kind.upper() != letter or not (digits.isascii() and digits.isdigit()):
        raise ValueError(how)
    number = int(digits)
    return number if number <= LARGEST_NUMBER else BEYOND


def parse(text: str, kind: Kind | None = None) -> tuple[Kind, int] | None:
    """The kind and the number of an id, such as the subject of a log entry; None for anything else.

    If `kind` is given, an id of another kind returns None too.
    """
    letter, dash, digits = text.partition("-")
    found = LETTERS.get(letter)
    if found is None or not dash or not (digits.isascii() and digits.isdigit()) or kind not in (None, found):
        return None
    number = int(digits)
    return found, number if number <= LARGEST_NUMBER else BEYOND


def spell(text: str) -> str:
    """An id of any kind as the room prints it, however it is written; any other text as it is.

    `t-12` and `#12` are `T-12`.
    """
    written = text.strip().upper()
    written = f"T-{written[1:]}" if written.startswith("#") else written
    return written if parse(written) is not None else text


def number_of(name: str) -> int:
    """The number behind an id that the room itself wrote."""
    return int(name[2:])
