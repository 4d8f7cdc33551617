"""The commands with which anyone can check what a member says about artifacts, evidence and capabilities."""

import hashlib
import shlex


def command(kind: str, ref: str) -> str | None:
    """The command whose output's first word proves a file or a commit; None for any other kind.

    The ref is a member's text, so it is quoted and cannot become an option.
    """
    if kind == "commit":
        return f"git rev-parse --verify --end-of-options {shlex.quote(ref + '^{tree}')}"
    return f"sha256sum -- {shlex.quote(ref)}" if kind == "file" else None


def plant_command(capability: str) -> str:
    """What a person runs to make a capability provable."""
    return f"teamroom plant {shlex.quote(capability)}"


def how_to_check(kind: str, ref: str) -> str | None:
    """How to check a piece of evidence; None if no command or read can check it."""
    if kind == "test":
        return ref.partition(": ")[0]
    return f"read teamroom://receipts/{ref}" if kind == "receipt" else command(kind, ref)


VALUE_PREFIX = "teamroom-proof-"
"""How a planted value begins, so that anyone who finds one knows what it is."""

RENEW_SECONDS = 86_400.0
"""How long before it expires a proof is asked for again; at most half its life."""

VALUE_WORD = "VALUE"
"""The placeholder in a command for a value that the room has no command to print."""


def answer(nonce: str, member: str, value: str) -> str:
    """The hash that proves that a member can read a planted value.

    A nonce is hexadecimal and a name has no colon, so the parts cannot be confused.
    """
    return hashlib.sha256(f"{nonce}:{member}:{value}".encode()).hexdigest()


def answer_command(nonce: str, member: str, reads: str) -> str:
    """The command whose output's first word is the answer.

    `reads` is a command that prints the value; if it is empty, the member puts the value in place of VALUE.

    It adds no quotes: hosts that show a model JSON escape them, and models copy what they see. None of
    the three words has white space.
    """
    return f"printf %s:%s:%s {nonce} {member} {f'$({reads})' if reads else VALUE_WORD} | sha256sum"


def is_probe_due(proven_until: float | None, proof_seconds: float, now: float) -> bool:
    """Whether a member should be asked for a proof now: it has none, or its proof expires soon."""
    return proven_until is None or renew_from(proven_until, proof_seconds) <= now


def renew_from(proven_until: float, proof_seconds: float) -> float:
    """The time from which a proof is asked for again."""
    return proven_until - min(RENEW_SECONDS, proof_seconds / 2)
