"""What the room promises, and the marks with which a test names the promises that it holds.

`@promise("TSK1", …)` on a test, or `pytestmark = promise(…)` for every test of a file. `pytestmark = house` says that
a file's tests keep the house in order: those without a promise of their own hold none. `pytest --promise TSK1` runs
the tests of one promise.
"""

import pytest


def promise(*ids: str) -> pytest.MarkDecorator:
    """Mark a test that fails when one of these promises is broken."""
    return pytest.mark.promise(*ids)


house = pytest.mark.house

ALL = "all of it"
"""What `PLANNED` says of a promise that no test holds yet."""

PROMISES: dict[str, str] = {
    "ID1": "A member keeps its name, owner, history and cursor across processes, machines, harnesses and models.",
    "ID2": "The token alone identifies the caller; a name in an argument never speaks for anyone.",
    "ID3": "Every agent has a human owner; people are members just as agents are.",
    "ID4": "Tokens are 256-bit, stored as hashes, printed once, and expired, revoked and rotated individually.",
    "ID5": "Names that look like another member's are refused; the server sets author, owner and kind.",
    "LOG1": "One total order: dense numbers, and a cursor that sees every visible entry once and in order.",
    "LOG2": "Every act that changes what others can see leaves a receipt; refusals leave few.",
    "LOG3": "Receipts are chained by salted hashes, with a signed head outside the database; verify finds changes.",
    "LOG4": "An acknowledged act survives kill -9 and power loss; a repeated call gets the first result.",
    "LOG5": "Every part of the room shows its last sign of life; a dead part is named within a minute.",
    "LOG6": "A reader with a saved head and the room's public key can check that today's log continues that head.",
    "CTL1": "Standing has three levels, the most restrictive wins, and each act reads it in its own transaction.",
    "CTL2": "After a pause or kill is acknowledged, no act of a bound member commits.",
    "CTL3": "A paused member may do four things; a killed member is told who killed it and why.",
    "CTL4": "Open streams and waiting calls of a paused or killed member end within 2 s.",
    "CTL5": "A pause holds wakes and leases; a kill releases tasks, voids offers and tells who waits.",
    "CTL6": "The first call that starts after an acknowledged resume succeeds.",
    "CTL7": "Each role may stop and resume only whom it answers for; dangerous acts ask for confirmation.",
    "CTL8": "A missing or unreadable policy means deny.",
    "CTL9": "Pause, kill, resume and revoke overtake all waiting work and are answered within 2 s.",
    "TSK1": "With N claimers there is one winner; the others learn who has the task and until when.",
    "TSK2": "Fences rise and are never reused; what a stale write brought is kept as late evidence.",
    "TSK3": "A lease has a length, is renewed by progress, stops under a pause, and ends with a grace period.",
    "TSK4": "A task has seven states, waits for its dependencies, and is edited without a fence by few.",
    "TSK5": "Work in progress is capped per member.",
    "TSK6": "Work that only an ended member could do is freed or given to a person.",
    "TSK7": "A blocked task names what it waits for, and the block is lifted when that is settled.",
    "HND1": "A task has at most one open offer; acceptance changes holder, fence and receipt in one commit.",
    "HND2": "Needs are compared with capabilities at the offer and again at acceptance.",
    "HND3": "Artifacts are proven by hashes that the receiver was not shown.",
    "HND4": "The reply to every offer and message says when to expect each addressee, from measured wakes.",
    "HND5": "An expired offer returns to its giver; a task makes at most 5 hops, then goes to the owner.",
    "HND6": "An alert without an addressee wakes members that can help, otherwise the owner.",
    "PRS1": "The facts of presence are kept separate; the verdict is a pure function of them and carries its reason.",
    "PRS2": "A heartbeat proves a connection, nothing more; a forecast is never better than the evidence.",
    "PRS3": "A zombie is named after a challenge that only a reader of the inbox can answer.",
    "PRS4": "Suspicion removes nothing, and real evidence clears it at once.",
    "PRS5": "Each member has exactly one live listener, regardless of mechanism.",
    "PRS6": "After the server slept or the clock jumped, no verdict is declared for one full interval.",
    "REM1": "Each rule, target and slot gets one reminder, recorded exactly once.",
    "REM2": "Reminders back off and are capped; at the cap the owner is told once.",
    "REM3": "A reminder is suppressed for a reason that can be looked up.",
    "REM4": "Only a report, a hand-off or a changed task ends a reminder.",
    "DEC1": "A digest in the log binds a decision to exactly its content.",
    "DEC2": "A decision is made once, by a person.",
    "DEC3": "The asker is woken with the answer, and what waited for it is unblocked in the same commit.",
    "DEC4": "A local call that waits for a decision passes once, for exactly the input that was shown.",
    "DEC5": "Every open decision waits where its people look until it is settled.",
    "AUT1": "An authorisation is an entry made by a person; text never counts as one.",
    "AUT2": "The scopes that a task requires are checked inside claiming and completing.",
    "AUT3": "A limited authorisation is used at most as often as it states, under any race.",
    "WAK1": "A wake is notified, woken and acted; each step records what was seen.",
    "WAK2": "A run that made no call has not answered, unless its owner said that ending is the answer.",
    "WAK3": "Under pause and kill, the gate refuses every local tool of a joined harness within 2 s.",
    "WAK4": "A harness that waits at a prompt is shown as such, neither working nor a zombie.",
    "WAK5": "`leave` removes exactly what `join` wrote.",
    "CAP1": "Declared, proven, attested, failed and expired are distinct and shown as such.",
    "CAP2": "A proof is a challenge that only someone who reaches the thing can answer.",
    "REV1": "Completion is a claim, reviewed by another member, chosen by a rule of preference.",
    "REV2": "Evidence is typed and says how to check it; each member's share of upheld claims is shown.",
    "QUI1": "The stream shows one line of at most 140 characters per entry; nothing healthy writes a line.",
    "QUI2": "Notes have a budget and are folded beyond it; alerts and asks are limited.",
    "QUI3": "Agents that only answer each other are stopped, and their owners are notified once.",
    "QUI4": "Equal wakes are joined; a member gets at most 10 in 5 minutes from one sender.",
    "QUI5": "`overnight` answers the four questions for any span in at most 60 lines.",
    "QUI6": "A repeated refused call gets clearer words and a growing wait; every count that people read is true.",
    "QUI7": "Wakes held by a pause of several members are delivered over time, alerts and people first.",
    "SAF1": "There is no anonymous access; Host and Origin are matched exactly; the data folder is private.",
    "SAF2": "What members write is data, marked with its author; the server calls no URL but people's channels.",
    "SAF3": "Everything has a limit, and exceeding it returns a clear refusal.",
    "SAF4": "When the disk is full, reads, pause and kill still work; a damaged database opens read-only.",
    "SAF5": "Backups are verified by opening them; a restore starts a new epoch and revives nothing that ended.",
    "SAF6": "Bad input never causes a 5xx and never stops the server.",
    "SAF7": "The shell never falls back to the owner's token inside an agent's session.",
    "SAF8": "Characters that steer or hide are removed from texts and refused in names.",
    "SAF9": "No act uses more than 50 ms of the writer's CPU, and no read occupies a reader for longer than 2 s.",
    "SAF10": "One member at its worst raises the p99 of others to at most 3 x.",
    "SAF11": "A caller without a token cannot take memory, connections or disk beyond a named bound.",
    "SAF12": "Spans measure the time that really passed, regardless of the wall clock.",
}
"""Each promise by its id, in one sentence."""

PLANNED: dict[str, str] = {
    "PRS5": "webhooks of the server as listeners, which do not exist yet",
    "WAK3": "the gates of harnesses that no test here runs",
    "WAK4": "harnesses whose hooks say nothing of their prompts",
    "SAF2": "webhooks of the server itself, which do not exist yet",
}
"""What is not kept yet: all of a promise, or a part of it. It only shrinks."""
