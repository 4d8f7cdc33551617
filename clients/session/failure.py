"""How a command fails: why, the fix and the exit code. It never prints a traceback or a token."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from teamroom.clients.session.terminal import plain

FAILED, USAGE, NOT_AUTHORISED, PAUSED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes; 0 is success."""

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
        self.body = dict(body) if body is not None else {"why": why, "fix": fix}
        self.caller = ""

    def text(self, word_fix: Callable[[str], str] = str) -> str:
        """Return why it failed and the fix; `word_fix` words the fix of a refusal for the reader."""
        code = self.body.get("code")
        first = f"Refused ({plain(str(code))}): {plain(self.why)}" if code else f"teamroom: {plain(self.why)}"
        last = f"\n{plain(self.caller)}" if self.caller else ""
        return f"{first}\nFix: {plain(word_fix(self.fix) if code else self.fix)}{last}"

    @property
    def is_refusal(self) -> bool:
        """Whether who called is a part of the reason."""
        return "code" in self.body or self.exit_code in (NOT_AUTHORISED, PAUSED)

    def name_caller(self, name: str | None, origin: str) -> None:
        """Note as which member a call was made, None if no member has its token, and where its token came from."""
        if self.caller or not self.is_refusal:
            return
        name = self.body.get("caller", name)
        self.body |= {"caller": name, "token_from": origin}
        self.caller = f"You called as @{name}, with" if name is not None else "The call had"
        self.caller += f" the token from {origin}."


class UnreachableError(Failure):
    """No room answers. `fault` names the underlying error."""

    def __init__(self, url: str, fault: str = "") -> None:
        super().__init__(f"No room answers at {url}.", "Run `teamroom up`, or name the room with --url or --data.")
        self.fault = fault

    @property
    def was_sent(self) -> bool:
        """Whether the room may have got the request, although no answer came."""
        return self.fault != ConnectionRefusedError.__name__


def refusal(body: Mapping[str, Any]) -> Failure:
    """Return a refusal of the room as a Failure."""
    code = body.get("code")
    exit_code = {"not_allowed": NOT_AUTHORISED, "killed": NOT_AUTHORISED, "paused": PAUSED}.get(str(code), FAILED)
    return Failure(str(body.get("why", "")), str(body.get("fix", "")), exit_code, body)


@contextlib.contextmanager
def ungrouped() -> Iterator[None]:
    """Run a block with task groups; raise the first Failure without the exception groups around it."""
    try:
        yield
    except* Failure as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
