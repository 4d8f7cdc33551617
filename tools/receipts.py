"""The tools of the log: read receipts, redact."""

from teamroom.server.acts.receipts.receipts import READ_RECEIPTS, Receipt, Receipts
from teamroom.server.acts.receipts.redact import REDACT, Redact, Redacted
from teamroom.server.rules.text import cite, cite_name, inline
from teamroom.tools.danger import Danger, write_command
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import cite_receipt, count


def render_receipts(reply: Receipts) -> str:
    """The reply of `read_receipts`."""
    return "\n".join([*(render_receipt_line(entry) for entry in reply.receipts), f"cursor {reply.cursor}"])


def render_receipt_line(entry: Receipt) -> str:
    """An entry of the log in one line."""
    what = entry.summary if entry.summary else f"{entry.act} {entry.subject} (content redacted)"
    return f"{entry.seq} {entry.at} {what}"


def render_redacted(reply: Redacted) -> str:
    """The reply of `redact`."""
    more = f" Continue with after {reply.after}." if reply.after is not None else ""
    more = " The room redacts further entries about it now." if reply.more else more
    reports = f"{count(reply.reports, 'report')} and " if reply.reports else ""
    what = f"{reports}the content of {count(reply.entries, 'entry')} about {reply.what}"
    return f"Redacted {what}{cite_receipt(reply)}.{more}"


def _ask_to_redact(asked: Redact) -> str:
    days = (asked.older_than_seconds or 0) / 86_400
    what = f"the content of {cite(asked.what) if asked.what else f'everything older than {days:g} days'}"
    if asked.what is not None and asked.what.startswith("@"):
        what = f"what runtimes of {cite_name(asked.what)} report"
    return f"Redact {what}? This cannot be undone. Reason: {inline(asked.reason)}"


REDACTING = Danger(
    _ask_to_redact,
    lambda asked: write_command(
        "redact",
        asked.what,
        older_than=None if asked.older_than_seconds is None else f"{asked.older_than_seconds:.0f}s",
        reason=asked.reason,
    ),
    always=True,
)


TOOLS = (
    Tool(
        READ_RECEIPTS,
        "Read the log: who did what, to what, with what outcome.",
        render_receipts,
        place=260,
    ),
    Tool(
        REDACT,
        "Remove the content of a message, a task, an offer or a log entry, of everything older than an age, or of "
        "what a member's runtimes report. "
        "Numbers and hashes stay, and the log still verifies.",
        render_redacted,
        place=240,
        destroys=True,
        idempotent=True,
        in_chat=False,
        danger=REDACTING,
    ),
)
