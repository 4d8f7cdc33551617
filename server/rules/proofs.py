"""The commands with which anybody can check a member's claims about artifacts, evidence and capabilities."""

import hashlib
import shlex


def command(kind: str, ref: str) -> str | None:
    """The command whose output's first word proves a file or a commit; None where nothing can be run.

    The ref is a member's text, so it is quoted and cannot become an option.
    """
    if kind == "commit":
        return f"git rev-parse --verify --end-of-options {shlex.quote(ref + '^{tree}')}"
    return f"sha256sum -- {shlex.quote(ref)}" if kind == "file" else None


def plant_command(capability: str) -> str:
    """What a person runs to make a capability provable."""
    return f"teamroom plant {shlex.quote(capability)}"


def how_to_check(kind: str, ref: str) -> str | None:
    """How to check a piece of evidence again; None for what only a look can tell."""
    if kind == "test":
        return ref.partition(": ")[0]
    return f"read teamroom://receipts/{ref}" if kind == "receipt" else command(kind, ref)


VALUE_PREFIX = "teamroom-proof-"
"""How a planted value begins, so that whoever finds one knows what it is."""

RENEW_SECONDS = 86_400.0
"""A proof is asked for again this long before it expires, or at half its life where that is shorter."""

VALUE_WORD = "VALUE"
"""What stands in a command for a value that the room has no command to print."""


def answer(nonce: str, member: str, value: str) -> str:
    """What proves that a member reaches a planted value. A nonce is hexadecimal and a name has no colon."""
    return hashlib.sha256(f"{nonce}:{member}:{value}".encode()).hexdigest()


def answer_command(nonce: str, member: str, reads: str) -> str:
    """The command whose output's first word is the answer; `reads` prints the value, else VALUE has to be put in.

    It has no quotes of its own: hosts that show a model JSON escape them, and models copy what they see. None of
    the three words has white space.
    """
    return f"printf %s:%s:%s {nonce} {member} {f'$({reads})' if reads else VALUE_WORD} | sha256sum"


def is_probe_due(proven_until: float | None, proof_seconds: float, now: float) -> bool:
    """Whether a member should be asked now: it has not proven the thing, or its proof is about to end."""
    return proven_until is None or renew_from(proven_until, proof_seconds) <= now


def renew_from(proven_until: float, proof_seconds: float) -> float:
    """From when on a proof is asked for again."""
    return proven_until - min(RENEW_SECONDS, proof_seconds / 2)
