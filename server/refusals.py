"""The closed list of refusals. Each has a code, a reason and a fix."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from teamroom.server.rules.text import cite, inline

Code = Literal[
    "paused",
    "killed",
    "not_allowed",
    "not_found",
    "invalid",
    "too_large",
    "taken",
    "stale_fence",
    "wip_cap",
    "missing_capability",
    "missing_authorization",
    "bad_proof",
    "self_review",
    "conflict",
    "rate_limited",
    "busy",
    "storage",
    "expired",
]
CODES: frozenset[str] = frozenset(get_args(Code))

REFUSED = -32010
"""The JSON-RPC error code of each refusal that is not a tool's result. The refusal itself is in the error's data.

MCP leaves -32000 to -32019 to servers; the SDK uses -32000 and -32001, and -32002 is retired.
"""

TYPING_ERRORS: frozenset[str] = frozenset({"invalid", "not_found"})
"""Refusals of what a caller mistyped: a value or a name."""

UNRECORDED: frozenset[str] = frozenset({"busy", "storage"})
"""Refusals that leave no receipt, because the log cannot be written then."""


class RefusalBody(BaseModel):
    """A refusal as a client sees it."""

    model_config = ConfigDict(extra="allow")

    code: Code
    why: str
    fix: str


class Refusal(Exception):
    """An act or a read that the room does not carry out. Only its receipt is recorded.

    `needs`: further members of the reply, such as `missing`, `holder`, `lease_until` or `retry_after_seconds`.
    `also` records what a refused act still leaves, such as late evidence, in the transaction that records the refusal.
    """

    def __init__(
        self,
        code: Code,
        why: str,
        fix: str,
        *,
        subject: str = "",
        also: Callable[[Any], None] | None = None,
        **needs: Any,
    ) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why
        self.fix = fix
        self.subject = subject
        self.also = also
        self.needs = {name: value for name, value in needs.items() if value is not None}
        self.receipt: int | None = None
        self.head: str | None = None

    def body(self) -> dict[str, Any]:
        """The refusal as structured data, with its receipt and the log's end after it, if it left one."""
        left = {"receipt": self.receipt} if self.receipt is None else {"receipt": self.receipt, "head": self.head}
        return {"code": self.code, "why": self.why, "fix": self.fix, **left, **self.needs}

    def text(self) -> str:
        """The refusal as one plain line for a model: some clients show nothing else. It says all that the data says."""
        line = f"Refused ({self.code}): {self.why} Fix: {self.fix}"
        more = "; ".join(f"{name.replace('_', ' ')}: {said}" for name, said in self._unsaid(line))
        return f"{line} ({more})" if more else line

    def _unsaid(self, line: str) -> Iterator[tuple[str, str]]:
        """The further members of the refusal that a line does not contain, in words."""
        for name, value in self.needs.items():
            items = [inline(item) for item in _flat(value)]
            missing = [item for item in items if item.strip("“”") not in line]
            if missing:
                yield name, ", ".join(missing)


def _flat(value: Any) -> Iterator[str]:
    """The texts and numbers in a value, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _flat(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner)
    else:
        yield str(value)


def not_found(what: str, name: str, fix: str) -> Refusal:
    """The refusal for a thing that is not in the room."""
    return Refusal("not_found", f"There is no {what} {cite(name)} in this room.", fix, subject=name)


def stopping() -> Refusal:
    """The refusal of a call to a room that is stopping."""
    return Refusal("busy", "The room is stopping.", "Call again in a few seconds.", retry_after_seconds=5)
