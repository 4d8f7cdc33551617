"""How anybody checks for themselves what another member says it reaches or has done."""

import shlex


def command(kind: str, ref: str) -> str | None:
    """The command whose output's first word proves a file or a commit; None where nothing can be run.

    The ref is a member's text, so it is quoted and cannot become an option.
    """
    if kind == "commit":
        return f"git rev-parse --verify --end-of-options {shlex.quote(ref + '^{tree}')}"
    return f"sha256sum -- {shlex.quote(ref)}" if kind == "file" else None


def how_to_check(kind: str, ref: str) -> str | None:
    """How to check a piece of evidence again; None for what only a look can tell."""
    if kind == "test":
        return ref.partition(": ")[0]
    return f"read teamroom://receipts/{ref}" if kind == "receipt" else command(kind, ref)
