"""What waits for a member, in words."""

from teamroom.server.acts.presence.me import Inbox
from teamroom.server.acts.presence.presence import CheckedIn, Wake
from teamroom.server.rules.text import said
from teamroom.tools.words.capabilities import PROVE, probe
from teamroom.tools.words.phrases import listed
from teamroom.tools.words.reminders import reminder
from teamroom.tools.words.tasks import offer, review

REMINDED = "You were reminded, and still owe (report on it, hand it off, or snooze it with update_task)"


def wake(wake: Wake) -> str:
    """A wake in one line."""
    times = f" ({wake.count} wakes)" if wake.count > 1 else ""
    return f"{wake.seq} {wake.reason} {wake.subject} from @{wake.from_}{times}: {said(wake.line)}"


def pending(reply: CheckedIn | Inbox) -> str:
    """What waits for a member besides its wakes and tasks."""
    return (
        listed("Offered to you (answer_hand_off)", [offer(o) for o in reply.offers])
        + listed(PROVE, map(probe, reply.probes))
        + listed(REMINDED, map(reminder, reply.reminders))
        + listed("The room asks", [] if reply.challenge is None else [said(reply.challenge)])
        + listed(
            "Waiting for your review (read_board shows the evidence, review_task judges)", map(review, reply.reviews)
        )
    )
