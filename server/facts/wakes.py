"""How long members take from a wake to the call that shows it to them: measured here, read for forecasts."""

from teamroom.server.facts.task import pauses_of
from teamroom.server.identity import Caller
from teamroom.server.rules.leases import paused_seconds
from teamroom.server.store.transaction import Reading, Writing


def measure(tx: Writing, caller: Caller, upto: int) -> None:
    """Note how long the wakes waited that a member is shown now for the first time; paused time does not count."""
    seen = tx.value("seen", member=caller.member)
    if upto <= seen:
        return
    wakes = tx.all("wakes_between", member=caller.member, after=seen, upto=upto, limit=tx.settings.forecast_kept)
    if wakes:
        pauses = pauses_of(tx, caller.member, caller.owner, min(row["at"] for row in wakes))
        for row in wakes:
            waited = max(tx.now - row["at"] - paused_seconds(pauses, row["at"], tx.now), 0.0)
            tx.run("add_answer_time", member=caller.member, seq=row["seq"], seconds=waited)
        tx.run("forget_answer_times", member=caller.member, keep=tx.settings.forecast_kept)
    tx.run("see", member=caller.member, seq=upto)


def answer_times(tx: Reading, member: int) -> list[float]:
    """How long a member's newest answers took, in seconds."""
    return [row["seconds"] for row in tx.all("answer_times", member=member, limit=tx.settings.forecast_kept)]
