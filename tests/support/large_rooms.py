"""A room of any size within seconds: written into the database by a few statements, not by its members.

Its log is as long as a real one's and no chain, so nothing verifies it.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

BEGAN = 1_790_000_000.0
STEP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much a room holds."""

    tasks: int
    messages: int
    members: int


NUMBERS = "with recursive n (i) as (select 1 as i union all select i + 1 from n where i < :n) "

FIRST_CROWD = 1_000
"""The number of the first member of the crowd."""

FILLS = (
    # the crowd: agents of olga, each fifth under a capability of its own
    NUMBERS.replace(":n)", ":members)")
    + "insert into member (id, name, folded, looks, kind, role, owner, mode, created_at, acknowledged) "
    "select 1000 + i, 'crowd-' || i, 'crowd-' || i, 'crowd-' || i, 'agent', 'member', 2, 'live', :began, 0 from n",
    "insert into presence (member, last_call_at, seen) select id, :now - id % 900, 0 from member where id > 1000",
    "insert into standing (scope, target, state, since, by_member, by_role, reason) "
    "select 'member', id, 'active', :began, 2, 'owner', '' from member where id > 1000",
    "insert into capability (member, capability, since) "
    "select member.id, 'tool:' || (member.id % 50), :began from member where id > 1000",
    "insert into token (id, member, hash, label, created_at) select 'k' || id, id, 'h' || id, 'default', :began "
    "from member where id > 1000",
    "insert into due (rule, subject, member, at, since, span) select 'presence', id, id, :now + 9e5, :began, 300 "
    "from member where id > 1000",
    # the log
    NUMBERS
    + "insert into log (seq, epoch, at, actor, owner, act, subject, outcome, summary, detail, salt, digest, hash) "
    "select :seq + i, 1, :began + i, 1001 + i % :members, 2, case i % 4 when 0 then 'post_message' when 1 then "
    "'create_task' when 2 then 'update_task' else 'complete_task' end, 'T-' || (1 + i % :tasks), "
    "case when i % 97 = 0 then 'refused' else 'ok' end, 'what happened', '{}', 'salt', 'digest', 'hash' from n",
    # messages to :busy, none of which it has acknowledged, and what they say
    NUMBERS.replace(":n)", ":messages)")
    + "insert into message (id, seq, author, at, kind, summary, text, thread, task) "
    "select :first_message + i, :seq + i, 1001 + i % :members, :began + i, case when i % 500 = 0 then 'alert' when "
    "i % 7 = 0 then 'ask' else 'note' end, 'about the build ' || i, 'the build of word' || (i % 5000) || ' is green', "
    "case when i % 2 then :first_message + 1 else :first_message + i end, 1 + i % :tasks from n",
    "insert into addressee (message, member, author, turn) select id, :busy, author, 1 from message where seq > :seq",
    "insert into wake (member, seq, reason, subject, sender, line, at) "
    "select :busy, seq, 'mention', 'M-' || id, author, 'about', at from message where seq > :seq",
    # tasks: open ones nobody can do at the top, then open, waiting, claimed, in review and done
    NUMBERS.replace(":n)", ":tasks)")
    + "insert into task (id, title, detail, priority, creator, created_at, changed_seq, state, assigned, holder, "
    "fence, claimed_at, lease_from, lease_seconds, blocked_on, review, reviewer, completed_by, completed_at, summary, "
    "evidence, hops, place) select :first_task + i, 'task ' || i, 'what is to be done', case when i % 10 < 3 then 90 "
    "else i % 50 end, 2, :began, :seq, case when i % 10 < 6 then 'open' when i <= :members * 5 and i % 10 = 6 then "
    "'claimed' when i % 10 = 7 then 'in_review' else 'done' end, case when i % 10 = 5 then :busy end, "
    "case when i <= :members * 5 and i % 10 = 6 then 1001 + i % :members when i % 10 = 7 then :busy end, 1, :began, "
    "case when i % 10 = 6 then :now - i % 4000 end, 3600, '', 'auto', "
    "case when i % 10 = 7 then 1001 + i % :members end, case when i % 10 in (7, 8, 9) then :busy end, "
    "case when i % 10 in (7, 8, 9) then :began + i end, '', '[]', 0, :first_task + i from n",
    "insert into need (task, need) select id, 'tool:nobody-' || (id % 3000) from task where priority = 90",
    "insert into need (task, need) select id, 'tool:1' from task where priority = 90 and id % 2 = 0",
    "insert into dependency (task, needs_task) select id, id - 1 from task where id > :first_task + 1 and id % 10 = 4",
    "insert into dependency (task, needs_task) select id, :first_task + 1 from task where id > :first_task + 1 "
    "order by id limit 400",
    "insert into task_entry (task, seq, member, at, kind, text, detail) "
    "select id, :seq + id, :busy, :began, 'note', 'a note', '{}' from task where id > :first_task",
    "insert into verdict (task, seq, completer, reviewer, upheld) "
    "select id, :seq + id, :busy, 2, id % 2 from task where state = 'done'",
    "insert into due (rule, subject, member, at, since, span) "
    "select 'task', id, :busy, :now + 9e5, :began, 3600 from task "
    "where (assigned = :busy or holder = :busy) and id > :first_task",
    "insert into due (rule, subject, member, at, since, span) "
    "select 'ask', id, 2, :now + 9e5, :began, 3600 from message where kind = 'ask' and seq > :seq",
    "insert into reminder (rule, subject, member, since, slot, at, outcome, reason, missed) "
    "select 'task', id, :busy, :began, 1, :began, 'sent', '', 0 from task where assigned = :busy",
    # what else grows with time
    NUMBERS + "insert into request (member, key, act, arguments, reply, at, until) "
    "select 1001 + i % :members, 'id:' || i, 'claim_task', 'x', '{}', :began, :began + i / 1000.0 from n",
    NUMBERS.replace(":n)", ":members * 10)") + "insert into pause (scope, target, since, until) "
    "select 'member', :busy, :began + i, :began + i + 0.5 from n",
    NUMBERS.replace(":n)", ":members * 10)")
    + "insert into pause (scope, target, since, until) select 'room', 0, :began + i, :began + i + 0.5 from n",
    NUMBERS.replace(":n)", ":members * 10)")
    + "insert into answer_time (member, seq, seconds) select 1001 + i % :members, i, 5 from n",
    "insert into refusal (member, act, code, subject, first_at, seq, repeats) "
    "select :busy, 'claim_task', 'taken', 'T-' || id, :began, :seq, 1 from task where id > :first_task limit 2000",
    NUMBERS.replace(":n)", ":members * 10)") + "insert into refused_call (member, act, since, seq, at, calls) "
    "select :busy, 'claim_task', :began + i, :seq, :now - i, 1 from n",
    "insert into message_text (rowid, summary, text) select id, summary, text from message where seq > :seq",
    "insert into task_text (rowid, title, detail) select id, title, detail from task where id > :first_task",
    "delete from unindexed_task",
    "update head set seq = :seq + :n, messages = :first_message + :messages, tasks = :first_task + :tasks, "
    "members = 1000 + :members",
)
"""What fills a room, in order. `:busy` is the member that everything is about."""


def fill(database: Path, size: Size, busy: int, now: float) -> None:
    """Make a room that nobody has open a large one, in which `busy` has much of everything."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        seq, messages, tasks = connection.execute("select seq, messages, tasks from head").fetchone()
        about = {
            "n": max(size.messages, size.tasks) * 2,
            "seq": seq,
            "first_message": messages,
            "first_task": tasks,
            "tasks": size.tasks,
            "messages": size.messages,
            "members": size.members,
            "busy": busy,
            "began": BEGAN,
            "now": now,
        }
        connection.execute("begin")
        for statement in FILLS:
            connection.execute(statement, about)
        connection.execute("commit")
        connection.execute("pragma wal_checkpoint(truncate)")
