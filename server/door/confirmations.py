"""Confirmations: a person's yes counts for one act, in one epoch, and for a while by the room's clock."""

from dataclasses import dataclass

from teamroom.server.refusals import Code, Refusal
from teamroom.server.store.transaction import Writing

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A question to a person. `until`: when the answer comes too late, in room time.

    `epoch`: a restored room does not know which answers it has used, so questions from before the restore are void.
    """

    nonce: str
    epoch: int
    until: float


def ask_once(tx: Writing) -> Confirmation:
    """A new question, which can be answered for `confirm_seconds`."""
    return Confirmation(tx.entropy(NONCE_BYTES).hex(), tx.head.epoch, tx.now + tx.settings.confirm_seconds)


def use_up(tx: Writing, confirmation: Confirmation, act: str) -> None:
    """Use a confirmation for the act of this transaction, and never again. Raises Refusal.

    If the act is refused, this is undone with it: the confirmation was given for an act that did not happen.
    """
    if confirmation.epoch != tx.head.epoch or confirmation.until <= tx.now:
        raise _refuse("expired", f"Nothing was done, because the confirmation of {act} came too late.", act)
    tx.run("forget_confirmations", now=tx.now)
    if tx.run_counted("use_confirmation", nonce=confirmation.nonce, until=confirmation.until) == 0:
        raise _refuse("not_allowed", f"The confirmation was used up by the {act} that it was given for.", act)


def _refuse(code: Code, why: str, act: str) -> Refusal:
    return Refusal(code, why, f"Call {act} again without an answer: the person is asked again.", subject=act)
