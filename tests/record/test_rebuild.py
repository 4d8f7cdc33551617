"""`teamroom verify` rebuilds from the log what members may do and who holds what, and compares it (LOG3)."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio.to_thread
import pytest

from teamroom.clients.local.verify import verified
from teamroom.server.record.rebuild import Rebuilt
from teamroom.server.record.seal import SEAL
from teamroom.server.store import transaction
from teamroom.server.store.logged import NEW_EPOCH, TABLES, change_of
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements
from tests.clients.test_verify_and_doctor import outside, verify
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, StillTime, running_room
from tests.support.shells import Shell
from tests.wake.test_topics import Watched, play

pytestmark = promise("LOG3")

A_DAY = 86_400.0


# ------------------------------------------------------------------ every act


class Rebuilding(Watched):
    """A room whose log is verified after each step of the walk through all acts."""

    async def check(self, what: str, step: Callable[[], Any], silent: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """Carry a step out, and rebuild the room."""
        await step()
        found = verified(self.folder)
        if not found.good:
            self.missed.append(f"{what}: entry {found.verification.first_bad}: {found.why}")
        assert found.verification.not_rebuilt == ()


async def walk(tmp_path: Path) -> Rebuilding:
    settings: dict[str, Any] = {"repeat_seconds": 0.0, "notify": {"olga": ["json://127.0.0.1:9/"]}}
    async with running_room(tmp_path / "room", time=StillTime(), **settings) as room:
        await room.enroll("builder", "tester", "planner", mode="live")
        await room.enroll("rex", role="watchdog", mode="live")
        walked = Rebuilding(room, room.folder)
        await play(walked)
    return walked


async def test_after_every_act_the_log_says_what_the_database_holds(tmp_path: Path) -> None:
    walked = await walk(tmp_path)
    assert walked.missed == []
    rebuilt = verified(walked.folder).verification.rebuilt
    assert set(rebuilt) == set(TABLES), "the walk changed rows of every table"


async def test_a_statement_whose_rows_are_not_noted_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: a room whose log says nothing of one kind of change."""

    def forgetful(sql: str) -> Any:
        change = change_of(sql)
        return None if change is not None and change.logged.table == "verdict" else change

    monkeypatch.setattr(transaction, "change_of", forgetful)
    walked = await walk(tmp_path)
    assert any("the verdict of entry" in missed and "is not in the log" in missed for missed in walked.missed)


def test_every_statement_that_writes_a_logged_table_is_understood(tmp_path: Path) -> None:
    """A statement in a form that the room cannot read would change rows unseen: `change_of` raises."""
    with closing(connect_writer(tmp_path / "room.db")) as connection:
        migrate(connection, 0.0)
        found = 0
        for name, sql in sqlite_statements().items():
            if name in NEW_EPOCH or (change := change_of(sql)) is None:
                continue
            found += 1
            connection.execute(f"explain {change.reads}", dict.fromkeys(parameters_in(change.reads), 0)).fetchall()
    assert found > 30


def parameters_in(sql: str) -> list[str]:
    return [part.split()[0].rstrip("),;") for part in sql.replace("(:", "( :").split(":")[1:]]


# ------------------------------------------------------------------ silent changes


async def furnish(room: RunningRoom) -> Member:
    """A room with something of every kind: members, stops, tokens, tasks in every state, offers and verdicts."""
    owner = await room.owner()
    a, b, _c = await room.enroll("a", "b", "c")
    await room.enroll("ops", role="operator")
    for title in ("open", "claimed", "blocked", "offered", "in review", "done", "cancelled"):
        await owner("create_task", title=title, needs=["tool:x"] if title == "open" else [])
    fences = {task: (await a("claim_task", task=task))["fence"] for task in ("T-2", "T-3", "T-4", "T-5")}
    await a("update_task", task="T-3", fence=fences["T-3"], status="blocked", blocked_on="T-1")
    await a("hand_off", task="T-4", fence=fences["T-4"], to="b", note="yours")
    await a("complete_task", task="T-5", fence=fences["T-5"], summary="all of it", evidence=[])
    fence = (await b("claim_task", task="T-6"))["fence"]
    await b("complete_task", task="T-6", fence=fence, summary="all of it", evidence=[])
    await owner("review_task", task="T-6", verdict="accept", note="well done")
    await owner("update_task", task="T-7", status="cancelled")
    await owner("create_task", title="later", depends_on=["T-1"], assign="c")
    await owner("import_task", external="bd-9", title="elsewhere", done=True, closed_at=1_700_000_000)
    await owner("enroll", name="a", label="short", expires_seconds=3600)
    await owner("enroll", name="b", label="second")
    await owner("enroll", name="olga", chat=True)
    await owner("revoke", name="b", label="second")
    await owner("set_policy", name="wip_cap", value="7")
    await owner("pause", target="c", reason="wait", for_seconds=600)
    await owner("pause", target="ops", reason="wait")
    await room.enroll("evil")
    await owner("kill", target="evil", reason="it stole")
    return owner


async def ask_people(room: RunningRoom) -> None:
    """What the log records since a later release."""
    owner, a = await room.owner(), await room.connect("a")
    await a("request_decision", question="Deploy?")
    await a("request_decision", question="Delete?")
    await owner("decide", decision="D-2", option="no", note="never")
    await owner("authorize", to="b", scope="deploy:staging", uses=2)
    await (await room.connect("b"))("check_authorization", scope="deploy:staging", use=True)
    await owner("authorize", to="owner:olga", scope="read:logs")
    await owner("authorize", revoke="A-2")


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped room, which each test copies."""
    return made(tmp_path_factory.mktemp("rebuild") / "room")


def made(folder: Path, is_earlier: bool = False) -> Path:
    """A stopped room with something of every kind, or of every kind that an earlier release had."""

    async def make() -> None:
        async with running_room(folder) as room:
            await furnish(room)
            if not is_earlier:
                await ask_people(room)

    asyncio.run(make())
    return folder


MEMBER = "(select id from member where name = '{}')"
EVIL, A, B, C = (MEMBER.format(name) for name in ("evil", "a", "b", "c"))

SILENT: dict[str, tuple[str, str]] = {
    "a killed member lives": (
        f"update standing set state = 'active' where scope = 'member' and target = {EVIL}",
        "the standing of @evil has state active; the log says killed",
    ),
    "a pause is lifted": (
        f"update standing set state = 'active' where scope = 'member' and target = {C}",
        "the standing of @c has state active; the log says paused",
    ),
    "a pause ends sooner": (
        f"update standing set until = until - 590 where scope = 'member' and target = {C}",
        "the standing of @c has until",
    ),
    "a pause is said to be an operator's": (
        f"update standing set by_role = 'operator' where scope = 'member' and target = {C}",
        "the standing of @c has by_role operator; the log says owner",
    ),
    "a member is paused": (
        f"update standing set state = 'paused' where scope = 'member' and target = {A}",
        "the standing of @a has state paused; the log says active",
    ),
    "the room is paused": (
        "update standing set state = 'paused' where scope = 'room'",
        "the standing of the room has state paused; the log says active",
    ),
    "the reason of a kill is another": (
        "update standing set reason = 'it was kind' where state = 'killed'",
        "the stored reason of the standing of @evil was changed",
    ),
    "a standing is gone": (
        f"delete from standing where scope = 'member' and target = {A}",
        "the standing of @a is missing",
    ),
    "a past pause is shorter": ("update pause set until = since", "a pause of @"),
    "a revoked token lives": (
        f"update token set revoked_at = null where member = {B}",
        "of @b has revoked_at nothing; the log says",
    ),
    "a killed member's token lives": (
        f"update token set revoked_at = null where member = {EVIL}",
        "of @evil has revoked_at nothing; the log says",
    ),
    "a token never expires": (
        "update token set expires_at = null where label = 'short'",
        "of @a has expires_at nothing; the log says",
    ),
    "a token is another member's": (
        f"update token set member = 2 where label = 'short' and member = {A}",
        "has member @olga; the log says @a",
    ),
    "a token opens to another secret": (
        "update token set hash = 'ff' where label = 'short'",
        "has another hash than the log says",
    ),
    "a token has another label": (
        "update token set label = 'chat' where label = 'short'",
        "the stored label of the token",
    ),
    "a chat client's token is an ordinary one": (
        "update token set kind = '' where kind = 'chat'",
        "of @olga has kind 0 or nothing; the log says chat",
    ),
    "a token was issued by another": (
        "update token set issued_by = 'tok_x' where label = 'short'",
        "has issued_by tok_x; the log says tok_",
    ),
    "a label is no text": (
        "update token set label = cast(x'ff00' as text) where label = 'short'",
        "the table token cannot be read",
    ),
    "an expiry is bytes": (
        "update token set expires_at = x'ff' where label = 'short'",
        "has expires_at b'\\xff'; the log says",
    ),
    "a token that nobody issued": (
        "insert into token (id, member, hash, label, created_at) values ('tok_x', 2, 'ee', 'mine', 0)",
        "the token tok_x of @olga is not in the log",
    ),
    "a token without an id": (
        "insert into token (id, member, hash, label, created_at) values (null, 2, 'ee', 'mine', 0)",
        "the table token has a row whose key is empty",
    ),
    "a token is gone": ("delete from token where label = 'short'", "is missing"),
    "a role is raised": (
        f"update member set role = 'owner' where id = {A}",
        "@a has role owner; the log says member",
    ),
    "an agent is a person": (
        f"update member set kind = 'human' where id = {A}",
        "@a has kind human; the log says agent",
    ),
    "an agent has another owner": (
        f"update member set owner = {B} where id = {A}",
        "@a has owner @b; the log says @olga",
    ),
    "a member has another name": ("update member set name = 'aa' where name = 'a'", "@aa has name aa; the log says a"),
    "the policy is laxer": (
        """update policy set document = '{"wip_cap": 100}'""",
        """the policy has document {"wip_cap": 100}; the log says {"wip_cap": 7}""",
    ),
    "the policy is gone": ("delete from policy", "the policy is missing"),
    "an open task is done": ("update task set state = 'done' where id = 1", "T-1 has state done; the log says open"),
    "a cancelled task is open": (
        "update task set state = 'open' where id = 7",
        "T-7 has state open; the log says cancelled",
    ),
    "a task in review is done": (
        "update task set state = 'done' where id = 5",
        "T-5 has state done; the log says in_review",
    ),
    "a task has another holder": (f"update task set holder = {B} where id = 2", "T-2 has holder @b; the log says @a"),
    "a fence is lower": ("update task set fence = 0 where id = 2", "T-2 has fence 0 or nothing; the log says 1"),
    "a task has another reviewer": (
        f"update task set reviewer = {C} where id = 5",
        "T-5 has reviewer @c; the log says",
    ),
    "a task needs no review": (
        "update task set review = 'none' where id = 2",
        "T-2 has review none; the log says auto",
    ),
    "a task is assigned to nobody": (
        "update task set assigned = null where id = 8",
        "T-8 has assigned nothing; the log says @c",
    ),
    "another member completed a task": (
        f"update task set completed_by = {C} where id = 6",
        "T-6 has completed_by @c; the log says @b",
    ),
    "a task was handed off less often": ("update task set hops = 3 where id = 2", "T-2 has hops 3; the log says 0"),
    "a task waits for something else": (
        "update task set blocked_on = 'nothing' where id = 3",
        "the stored blocked_on of T-3 was changed",
    ),
    "a task waits for nothing": ("delete from dependency", "the dependency of T-8 on T-1 is missing"),
    "an imported task was closed on another day": (
        "update origin set closed_date = closed_date + 86400",
        "the origin of T-9 has closed_date 2023-11-15T22:13:20Z; the log says 2023-11-14T22:13:20Z",
    ),
    "a task comes from elsewhere": ("update origin set external = 'bd-8'", "the stored external of the origin of T-9"),
    "a task counts as not imported": ("delete from origin", "the origin of T-9 is missing"),
    "an offer is accepted": (
        "update offer set state = 'accepted' where id = 1",
        "O-1 has state accepted; the log says offered",
    ),
    "an offer goes to another member": (
        f"update offer set receiver = {C} where id = 1",
        "O-1 has receiver @c; the log says @b",
    ),
    "an offer lasts longer": ("update offer set expires_at = expires_at + 1e6", "O-1 has expires_at"),
    "an offer needs nothing to be proven": (
        """update offer set artifacts = '[{"kind": "file", "ref": "/x", "sha256": null}]'""",
        "the stored artifacts of O-1 was changed",
    ),
    "a verdict is turned round": ("update verdict set upheld = 0", "on T-6 has upheld 0 or nothing; the log says 1"),
    "a verdict is another member's": (
        f"update verdict set reviewer = {C}",
        "on T-6 has reviewer @c; the log says @olga",
    ),
    "a verdict is gone": ("delete from verdict", "on T-6 is missing"),
    "a verdict that nobody gave": (
        f"insert into verdict (task, seq, completer, reviewer, upheld) values (6, 3, {B}, 2, 1)",
        "the verdict of entry 3 on T-6 is not in the log",
    ),
    "a share of upheld work is better": (
        "update share set reviewed = reviewed + 5, upheld = upheld + 5",
        "the share of upheld work of @b is not its verdicts'",
    ),
    "an open decision is decided": (
        "update decision set state = 'decided', choice = 1, decided_by = 2 where id = 1",
        "D-1 has state decided; the log says open",
    ),
    "a decision was decided otherwise": (
        "update decision set choice = 1 where id = 2",
        "D-2 has choice 1; the log says 2",
    ),
    "another person decided": (
        f"update decision set decided_by = {A} where id = 2",
        "D-2 has decided_by @a; the log says @olga",
    ),
    "a question is another": (
        "update decision set question = 'Delete?' where id = 1",
        "the stored question of D-1 was changed",
    ),
    "a digest stands for something else": (
        "update decision set digest = 'ff' where id = 1",
        "the stored digest of D-1 was changed",
    ),
    "another person was asked": (
        f"update asked set member = {A} where decision = 1",
        "who was asked for D-1",
    ),
    "a revoked authorisation allows again": (
        "update authorisation set revoked_at = null where id = 2",
        "A-2 has revoked_at nothing; the log says",
    ),
    "an authorisation was used less often": (
        "update authorisation set used = 0 where id = 1",
        "A-1 has used 0 or nothing; the log says 1",
    ),
    "an authorisation is for another member": (
        f"update authorisation set target = {A} where id = 1",
        "A-1 has target @a; the log says @b",
    ),
    "an authorisation allows something else": (
        "update authorisation set scope = 'deploy:production' where id = 1",
        "the stored scope of A-1 was changed",
    ),
    "an authorisation that nobody made": (
        "insert into authorisation (id, level, target, scope, made_by, created_at, expires_at, changed_seq) "
        f"values (3, 'member', {A}, 'deploy:production', 2, 0, 9e9, 1)",
        "A-3 is not in the log",
    ),
    "a task requires nothing": (
        "update task set requires = '[]' where id = 1",
        "the stored requires of T-1 was changed",
    ),
    "a task need not wait": (
        "update task set waits = 0 where id = 8",
        "T-8 waits for another number of tasks than its dependencies say",
    ),
}
"""Changes by hand in the database, by name, and what `verify` says of each."""


@pytest.mark.parametrize("name", SILENT)
async def test_a_silent_change_is_found_and_named(tmp_path: Path, furnished: Path, name: str) -> None:
    folder, (statement, why) = copied(furnished, tmp_path), SILENT[name]
    assert verified(folder).good
    outside(folder, "pragma foreign_keys = off", statement)
    with twin():
        assert verified(folder).good, "the twin, which rebuilds nothing, does not find it"
    done = verify(folder)
    assert done.code == 1
    assert why in done.out
    assert f"BAD: entry {verify(folder, '--json').json['first_bad']}: " in done.out


def copied(furnished: Path, tmp_path: Path) -> Path:
    shutil.copytree(furnished, tmp_path / "room")
    return tmp_path / "room"


def twin() -> Any:
    """A `verify` that rebuilds nothing."""
    return patch.multiple(
        Rebuilt, follow=lambda self, tx, entry: None, changed_row=lambda self, tx: None, unknown=lambda self: ()
    )


async def test_a_database_that_claims_to_be_of_an_earlier_release_is_compared_all_the_same(
    tmp_path: Path, furnished: Path
) -> None:
    folder = copied(furnished, tmp_path)
    undone = (
        "delete from migration where number >= 15",
        "drop table kept",
        "drop trigger verdict_counted",
        "drop table share",
    )
    outside(folder, "pragma foreign_keys = off", *undone, "alter table task drop column snooze_until")
    assert verify(folder).code == 0
    statement, why = SILENT["a token never expires"]
    outside(folder, statement)
    assert why in verify(folder).out
    outside(folder, "drop table verdict")
    assert "the table verdict is missing" in verify(folder).out


LAUNDERED: dict[str, tuple[str, tuple[str, dict[str, Any]], str]] = {
    "a task, which is edited": (
        f"update task set holder = {B} where id = 2",
        ("update_task", {"task": "T-2", "changes": {"priority": 3}}),
        "T-2 was changed outside the log before this entry",
    ),
    "a role, and the member gets a token": (
        f"update member set role = 'operator' where id = {A}",
        ("enroll", {"name": "a", "role": "watchdog", "label": "third"}),
        "@a was changed outside the log before this entry",
    ),
    "a standing, which is set again": (
        f"update standing set state = 'paused' where scope = 'member' and target = {A}",
        ("resume", {"target": "a", "reason": "it was nobody"}),
        "the standing of @a was changed outside the log before this entry",
    ),
    "the policy, which is set again": (
        """update policy set document = '{"wip_cap": 100}'""",
        ("set_policy", {"name": "hop_limit", "value": "3"}),
        "the policy was changed outside the log before this entry",
    ),
}


@pytest.mark.parametrize("name", LAUNDERED)
async def test_a_silent_change_is_found_even_if_an_act_changed_the_row_later(
    tmp_path: Path, furnished: Path, name: str
) -> None:
    folder, (statement, (tool, arguments), why) = copied(furnished, tmp_path), LAUNDERED[name]
    outside(folder, statement)
    async with running_room(folder) as room:
        owner = await room.owner()
        done = await owner(tool, **arguments)
    found = verify(folder, "--json").json
    assert (found["first_bad"], found["why"]) == (done["receipt"], why)


# ------------------------------------------------------------------ redaction, restores, earlier releases


async def test_what_was_redacted_is_still_rebuilt(tmp_path: Path, furnished: Path) -> None:
    folder = copied(furnished, tmp_path)
    async with running_room(folder) as room:
        owner = await room.owner()
        for what in ("T-2", "T-6", "O-1", "1", "2", "9"):
            await owner("redact", what=what, reason="private")
        room.time.forward(100 * A_DAY)
        await owner("redact", older_than_seconds=A_DAY, reason="old")
    whole = verify(folder, "--json").json
    assert whole["good"], whole["why"]
    assert whole["not_rebuilt"] == []
    for number, (statement, why) in enumerate(
        (
            ("update task set state = 'open' where id = 6", "T-6 has state open; the log says done"),
            ("update kept set part = replace(part, 'done', 'open')", "kept of redacted entries was changed"),
            (
                """update kept set part = '{"rows": {"task": [{}]}}' where seq = (select max(seq) from kept)""",
                "kept of this entry was changed",
            ),
            ("delete from kept where seq = (select max(seq) from kept)", "kept of redacted entries was changed"),
        )
    ):
        again = tmp_path / f"{number}"
        shutil.copytree(folder, again)
        outside(again, statement)
        assert why in verify(again).out


async def test_a_restored_room_is_rebuilt_too(tmp_path: Path, furnished: Path) -> None:
    folder = copied(furnished, tmp_path)
    shell = Shell(folder.parent)
    made = shell.now("backup", "--data", str(folder), "--json").json
    done = shell.now("restore", made["path"], "--data", str(folder))
    assert done.code == 0, done.out + done.err
    assert verify(folder).code == 0, verify(folder).out
    outside(folder, "update task set fence = 1 where id = 2")
    assert "T-2 has fence 1; the log says 1000001" in verify(folder).out


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A stopped room of an earlier release: its entries say nothing of rows."""

    def write_entry(tx: transaction.Writing) -> None:
        if tx.write_newest is not None:
            tx.write_newest(tx)

    with patch.object(transaction.Writing, "end", write_entry):
        return made(tmp_path / "earlier", is_earlier=True)


async def test_a_room_of_an_earlier_release_is_rebuilt_from_its_upgrade_on_and_the_rest_is_listed(
    tmp_path: Path, earlier: Path
) -> None:
    folder = earlier
    async with running_room(folder) as room:
        before = await anyio.to_thread.run_sync(verified, folder)
        nothing = "everything but the log and its texts: nothing was done in this room since its upgrade"
        assert (before.good, before.verification.not_rebuilt) == (True, (nothing,))
        owner = await room.owner()
        begun = (await owner("post_message", text="the room is upgraded"))["receipt"]
        assert begun == before.verification.entries + 1, "the baseline is no entry of its own"
        await owner("create_task", title="new")
    found = verify(folder, "--json").json
    assert found["good"], found["why"]
    assert found["not_rebuilt"] == [
        f"3 tasks from before entry {begun}, which no later entry changed",
        f"1 dependency from before entry {begun}, which no later entry changed",
        f"1 origin from before entry {begun}, which no later entry changed",
    ]
    for name in (
        "a killed member lives",
        "a token that nobody issued",
        "a task has another holder",
        "an offer is accepted",
    ):
        again = tmp_path / name.replace(" ", "-")
        shutil.copytree(folder, again)
        outside(again, "pragma foreign_keys = off", SILENT[name][0])
        assert SILENT[name][1] in verify(again).out
    again = tmp_path / "verdict"
    shutil.copytree(folder, again)
    outside(again, "update verdict set upheld = 0")
    assert "on T-6 was changed outside the log" in verify(again).out


async def test_a_room_that_is_made_to_begin_its_record_again_is_found(tmp_path: Path, furnished: Path) -> None:
    """Whoever removes the mark of the beginning makes the next act list all rows, a forged one too."""
    folder = copied(furnished, tmp_path)
    outside(folder, "delete from recording", SILENT["a token that nobody issued"][0])
    async with running_room(folder) as room:
        done = await (await room.owner())("post_message", text="an ordinary act")
    found = verify(folder, "--json").json
    assert found["first_bad"] == done["receipt"]
    assert "the log began to record rows twice" in found["why"]


async def test_a_row_that_was_changed_before_an_acceptance_is_named_by_it_and_ever_after(
    tmp_path: Path, furnished: Path
) -> None:
    folder = copied(furnished, tmp_path)
    statement, why = SILENT["a task has another holder"]
    outside(folder, "pragma foreign_keys = off", statement)
    (folder / SEAL).unlink()
    accepted = Shell(tmp_path).now("seal", "--accept", "--data", str(folder))
    assert accepted.code == 0, accepted.err
    assert why in accepted.out
    found = verify(folder)
    assert found.code == 0, found.out
    assert why in found.out, "the acceptance lists every row again, so no later check would show it"
    outside(folder, SILENT["an offer is accepted"][0])
    (folder / SEAL).unlink()
    again = Shell(tmp_path).now("seal", "--accept", "--data", str(folder))
    assert SILENT["an offer is accepted"][1] in again.out
    assert why not in again.out, "what was accepted once is not the next contradiction"
