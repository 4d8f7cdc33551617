"""Wakes, and what else waits for a member, in words."""

from teamroom.server.acts.presence.me import Inbox
from teamroom.server.acts.presence.presence import CheckedIn, QuietMessage, Wake
from teamroom.server.facts.wakes import WAITING_SHOWN
from teamroom.server.rules.folding import WaitingWake
from teamroom.server.rules.text import cite, inline, quote_wake
from teamroom.tools.words.capabilities import PROVE, render_probe
from teamroom.tools.words.decisions import render_decision
from teamroom.tools.words.phrases import list_lines
from teamroom.tools.words.reminders import render_owed
from teamroom.tools.words.tasks import render_offer, render_review

REMINDED = "You still owe (report on it, hand it off, or snooze it with update_task)"


def render_wake(wake: Wake) -> str:
    """A wake in one line."""
    times = f" ({wake.count} wakes)" if wake.count > 1 else ""
    line = quote_wake(wake.reason, wake.from_, wake.line)
    return f"{wake.seq} {wake.reason} {cite(wake.subject)} from @{wake.from_}{times}: {line}"


def render_quiet(message: QuietMessage) -> str:
    """A message that woke nobody, in one line."""
    return f"{message.message} from @{message.from_}: {inline(message.line)}"


def render_waiting(waiting: list[WaitingWake]) -> str:
    """What waits for an agent in the middle of its work, in a few words."""
    shown = [f"{one['reason']} {cite(one['subject'])} from @{one['from']}" for one in data_of_waiting(waiting)]
    more = " and more" if len(waiting) > WAITING_SHOWN else ""
    return f"Waiting for you: {', '.join(shown)}{more}. check_in shows what waits."


def data_of_waiting(waiting: list[WaitingWake]) -> list[dict[str, str]]:
    """The same as data, for clients that show their model nothing else."""
    return [
        {"reason": "ask" if wake.asks else wake.reason, "subject": wake.subject, "from": wake.sender}
        for wake in waiting[:WAITING_SHOWN]
    ]


def render_pending(reply: CheckedIn | Inbox) -> str:
    """What waits for a member, other than its wakes and tasks."""
    return (
        list_lines("Offered to you (answer_hand_off)", [render_offer(o) for o in reply.offers])
        + list_lines(PROVE, map(render_probe, reply.probes))
        + list_lines(REMINDED, map(render_owed, reply.reminders))
        + list_lines(
            "Challenge (answer it with heartbeat)", [] if reply.challenge is None else [inline(reply.challenge)]
        )
        + list_lines("Decisions", map(render_decision, reply.decisions))
        + list_lines(
            "Waiting for your review (read_board shows the evidence, review_task judges)",
            map(render_review, reply.reviews),
        )
    )
