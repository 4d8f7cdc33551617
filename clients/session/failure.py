"""How a command fails: why, the fix and the exit code. It never prints a traceback or a token."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from teamroom.clients.session.terminal import plain

FAILED, USAGE, NOT_AUTHORISED, PAUSED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes; 0 is success."""

SUPERSEDED = 0
"""The exit code of a program that a newer one supersedes: whatever restarts failed programs leaves it ended."""

WAKES = 100
"""The exit code with which a listener in a hook says that it has a wake; `clients.start` turns it into the hook's."""

TOKEN = re.compile(r"tr_[0-9a-fA-F]{8,}")


class Failure(Exception):
    """A command failed. `--json` prints `body`; the process exits with `exit_code`.

    `caller` says who called and where its token came from, for what the room refused.
    """

    def __init__(self, why: str, fix: str, exit_code: int = FAILED, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(why)
        self.why, self.fix, self.exit_code = why, fix, exit_code
        self.body: dict[str, Any] = dict(body) if body is not None else {"why": why, "fix": fix}
        self.caller = ""

    def text(self, word_fix: Callable[[str], str] = str) -> str:
        """Return why it failed and the fix; `word_fix` words the fix of a refusal for the reader."""
        code = self.code
        first = f"Refused ({plain(code)}): {plain(self.why)}" if code else f"teamroom: {plain(self.why)}"
        last = f"\n{plain(self.caller)}" if self.caller else ""
        return f"{first}\nFix: {plain(word_fix(self.fix) if code else self.fix)}{last}"

    @property
    def code(self) -> str | None:
        """The code with which the room refused the call; None if no room did."""
        code = self.body.get("code")
        return None if code is None else str(code)

    @property
    def retry_after(self) -> float | None:
        """After how many seconds to call again, where the room says that."""
        try:
            return max(0.0, float(self.body["retry_after_seconds"]))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def is_refusal(self) -> bool:
        """Whether a call was made, and who made it is a part of the reason."""
        return "code" in self.body or "caller" in self.body

    def name_caller(self, name: str | None, origin: str) -> None:
        """Note as which member a call was made, None if no member has its token, and where its token came from."""
        if self.caller or not self.is_refusal:
            return
        name = self.body.get("caller", name)
        self.body |= {"caller": name, "token_from": origin}
        self.caller = f"You called as @{name}, with" if name is not None else "The call had"
        self.caller += f" the token from {origin}."


NOT_SENT = frozenset({"ConnectionRefusedError", "ConnectError", "ConnectTimeout"})
"""Faults of a connection that could not be made."""


class UnreachableError(Failure):
    """No room answers. `fault` names the underlying error."""

    def __init__(self, url: str, fault: str = "") -> None:
        super().__init__(f"No room answers at {url}.", "Run `teamroom up`, or name the room with --url or --data.")
        self.fault = fault

    @property
    def was_sent(self) -> bool:
        """Whether the room may have got the request, although no answer came."""
        return self.fault not in NOT_SENT


class UnprovenError(Failure):
    """The server did not prove that it knows the token. It is another program, or the token is of another room."""

    def __init__(self, url: str) -> None:
        why = f"The server at {url} did not prove that it knows your token, so the token was not sent."
        fix = (
            "Run `teamroom doctor` where the room runs, to see whether another program took its address. "
            "If the room does answer there, get a new token with `teamroom enroll NAME --rotate`."
        )
        super().__init__(why, fix, NOT_AUTHORISED, {"code": "not_allowed", "why": why, "fix": fix})


class Refused(Failure):
    """The room refused a call. `code`, `why` and `fix` are the room's; `body` has the further facts of the refusal."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        code = str(body.get("code"))
        exit_code = {"not_allowed": NOT_AUTHORISED, "killed": NOT_AUTHORISED, "paused": PAUSED}.get(code, FAILED)
        super().__init__(str(body.get("why", "")), str(body.get("fix", "")), exit_code, body)


class Killed(Refused):
    """The member was killed. `why` says by whom, when and why; none of its calls succeeds any more."""


class Superseded(Failure):
    """A newer listener of the same member gets its wakes now."""

    def __init__(self, member: str) -> None:
        super().__init__(
            f"A newer listener of @{member} superseded this one.",
            "Run one listener of each member. If you did not start the other one, rotate the member's token.",
            SUPERSEDED,
        )


def refusal(body: Mapping[str, Any]) -> Refused:
    """Return a refusal of the room as what is raised for it."""
    return (Killed if body.get("code") == "killed" else Refused)(body)


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the exceptions in a group and in the groups inside of it."""
    for error in group.exceptions:
        yield from leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)


@contextlib.contextmanager
def ungrouped() -> Iterator[None]:
    """Run a block with task groups; raise the first Failure without the exception groups around it."""
    try:
        yield
    except* Failure as group:
        raise next(leaves(group)) from None
