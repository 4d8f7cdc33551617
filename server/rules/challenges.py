"""Challenges: which answers show that somebody read the question."""

import re
from collections.abc import Collection

NAMED = re.compile(r"[A-Z]-[0-9]+")
"""How an answer names a task or a message."""

AROUND = " \t\"'“”.,;:()"
"""What may stand around a word of an answer."""


def is_right_answer(answer: str, nonce: str, expected: Collection[str]) -> bool:
    """Whether an answer has the nonce of its challenge, and names what is expected and nothing else.

    An answer that names everything it could be is a guess.
    """
    words = [word.strip(AROUND) for word in answer.replace(",", " ").split()]
    named = [word for word in words if word in expected or NAMED.fullmatch(word)]
    return nonce in words and bool(named) and all(word in expected for word in named)
