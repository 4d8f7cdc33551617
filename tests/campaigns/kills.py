"""A server killed under load, again and again, and no acknowledged act lost (LOG4).

Callers post, create, claim and complete; at a random moment the server's process gets SIGKILL, and a new one is
started on the same folder. Each act that was acknowledged must be there, by its number in the log, its id and its
text; the chain must verify; an act whose acknowledgement was lost is called again with the same request id, and
must stand exactly once. Timed: from the start of the process until it is ready, and until the first act is answered.

The twin answers each act before it is committed.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teamroom.server.record.chain import Verifier
from tests.campaigns.campaign import Advance, Outcome, command, quantile, silently
from tests.campaigns.invariants import chain_faults, half_acts, rows, seal_and_key
from tests.campaigns.load import Called, Caller
from tests.campaigns.process import Server, enroll, serving

CALLERS = 8
LOAD_SECONDS = (0.02, 0.4)
"""The shortest and the longest time under load before a kill."""

READY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that a member makes."""

    tool: str
    arguments: dict[str, Any]
    request_id: str
    title: str = ""


Acknowledged = tuple[Wanted, Called]


@dataclass
class Worker:
    """A member at work, over every life of the server."""

    caller: Caller
    dice: random.Random
    acknowledged: list[Acknowledged] = field(default_factory=list)
    in_doubt: Wanted | None = None
    repeated: int = 0
    replayed: int = 0
    refused: list[str] = field(default_factory=list)
    plan: list[Wanted] = field(default_factory=list)
    _count: int = 0

    async def work(self) -> None:
        """Call until the server goes away. What was in doubt then is called again first, in the server's next life."""
        while True:
            wanted = self.in_doubt or self._next()
            again, self.in_doubt = self.in_doubt is not None, wanted
            try:
                called = await self.caller.call(wanted.tool, wanted.request_id, **wanted.arguments)
            except ConnectionError:
                return
            self.in_doubt = None
            self._learn(wanted, called)
            if again:
                self.repeated += 1
                self.replayed += called.body.get("replayed") is not None

    def _next(self) -> Wanted:
        if self.plan:
            return self.plan.pop(0)
        text = f"{self.caller.name} {self._count}"
        if self.dice.random() < 0.7:
            return self._wanted("post_message", text=text)
        return self._wanted("create_task", text, title=text, review="none")

    def _learn(self, wanted: Wanted, called: Called) -> None:
        if called.refused:
            self.refused.append(f"{wanted.tool} of @{self.caller.name} was refused: {called.body}")
            return
        self.acknowledged.append((wanted, called))
        if wanted.tool == "create_task":
            self.plan.append(self._wanted("claim_task", wanted.title, task=called.body["task"]))
        elif wanted.tool == "claim_task":
            task, fence = called.body["task"], called.body["fence"]
            self.plan.append(
                self._wanted("complete_task", wanted.title, task=task, fence=fence, summary="done", evidence=[])
            )

    def _wanted(self, tool: str, title: str = "", /, **arguments: Any) -> Wanted:
        self._count += 1
        return Wanted(tool, arguments, f"{self.caller.name}-{self._count}", title)


async def campaign(
    folder: Path,
    number: int,
    *,
    seed: int,
    twin: bool = False,
    advance: Advance = silently,
    ready_seconds: float = READY_SECONDS,
) -> Outcome:
    """`number` kills. A server that is not ready again within `ready_seconds` is a fault."""
    dice = random.Random(seed)
    outcome = Outcome()
    ready: list[float] = []
    first_act: list[float] = []
    with serving(folder, "tests.campaigns.write_behind" if twin else None) as server:
        await server.start()
        owner = Caller("owner", server.port, server.owner_token)
        callers = await enroll(owner, [f"worker-{n}" for n in range(CALLERS)])
        workers = [Worker(caller, random.Random(dice.random())) for caller in callers]
        verifier = Verifier(*seal_and_key(folder))
        for turn in range(number):
            before = [len(worker.acknowledged) for worker in workers]
            await _load(server, workers, dice.uniform(*LOAD_SECONDS))
            started = time.perf_counter()
            ready.append(await server.start())
            called = await owner.call("post_message", text=f"life {turn + 2}")
            first_act.append(called.ended - started)
            new = [act for worker, old in zip(workers, before, strict=True) for act in worker.acknowledged[old:]]
            outcome.faults += [*_missing(folder, new), *chain_faults(folder, verifier)]
            advance()
        for caller in (owner, *(worker.caller for worker in workers)):
            caller.hang_up()
    lost = _missing(folder, [act for worker in workers for act in worker.acknowledged])
    outcome.figures |= _figures(workers, len(lost), ready, first_act)
    outcome.faults += [*lost, *(fault for worker in workers for fault in worker.refused)]
    outcome.faults += [*chain_faults(folder), *half_acts(folder), *_doubles(folder)]
    late = sum(seconds > ready_seconds for seconds in ready)
    outcome.faults += [f"{late} times the server was not ready within {ready_seconds:.1f} s"] if late else []
    return outcome


async def _load(server: Server, workers: list[Worker], seconds: float) -> None:
    """Let everybody work, and kill the server in the middle."""
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.work())
        await asyncio.sleep(seconds)
        server.kill()


# ------------------------------------------------------------------ what must be there

ENTRIES = """
select log.seq, log.act, log.outcome, log.subject, member.name, message.text, task.title, task_entry.kind
from log
join member on member.id = log.actor
left join message on message.seq = log.seq
left join task on task.id = case when log.subject like 'T-%' then cast(substr(log.subject, 3) as integer) end
left join task_entry on task_entry.task = task.id and task_entry.seq = log.seq
where log.seq > ?
"""


def _missing(folder: Path, acknowledged: list[Acknowledged]) -> list[str]:
    """Which of these acts are not in the room as they were acknowledged."""
    first = min((called.receipt or 0 for _, called in acknowledged), default=1)
    entries = {entry["seq"]: entry for entry in rows(folder, ENTRIES, first - 1)}
    faults = []
    for wanted, called in acknowledged:
        entry = entries.get(called.receipt)
        if entry is None or _stands(wanted, called) != tuple(entry)[1:]:
            what = "nothing" if entry is None else tuple(entry)[1:]
            faults.append(f"{called.receipt} was acknowledged as {_stands(wanted, called)}, there is {what}")
    return faults


def _stands(wanted: Wanted, called: Called) -> tuple[str | None, ...]:
    """What the log, the message or the task, and the task's page say of an act that was carried out."""
    if wanted.tool == "post_message":
        return "post_message", "ok", called.body["message"], called.member, wanted.arguments["text"], None, None
    kind = {"create_task": "created", "claim_task": "claimed", "complete_task": "completed"}[wanted.tool]
    return wanted.tool, "ok", called.body["task"], called.member, None, wanted.title, kind


def _doubles(folder: Path) -> list[str]:
    """Posts and tasks that stand twice: called again, and carried out again."""
    posts = rows(folder, "select text from message group by text having count(*) > 1")
    tasks = rows(folder, "select title from task group by title having count(*) > 1")
    return [f"stands twice: {row[0]}" for row in (*posts, *tasks)]


def _figures(workers: list[Worker], lost: int, ready: list[float], first_act: list[float]) -> dict[str, Any]:
    def seconds(values: list[float]) -> str:
        return f"median {quantile(values, 0.5):.2f} s, worst {max(values):.2f} s"

    return {
        "kills": len(ready),
        "acknowledged acts": sum(len(worker.acknowledged) for worker in workers),
        "of these lost": lost,
        "acts in doubt at a kill, called again": sum(worker.repeated for worker in workers),
        "of these found to have happened": sum(worker.replayed for worker in workers),
        "from start to ready": seconds(ready),
        "from start to the first answered act": seconds(first_act),
    }


if __name__ == "__main__":
    command(
        "kills",
        "kill -9 of a server under load, NUMBER times: no acknowledged act is lost",
        200,
        campaign,
        on_both_engines=True,
    )
