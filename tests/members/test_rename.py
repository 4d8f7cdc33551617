"""A renamed member stays the same member, and its former name stays its own, in every place that decides by name."""

import json
from contextlib import closing
from pathlib import Path

import anyio.to_thread
import pytest

from teamroom.server.record.journal import JOURNAL, Journal, NameChange
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.connect import connect_writer
from tests.record.test_backups import back_up, put_back
from tests.support.promises import promise
from tests.support.receivers import receiver
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell, token_file

pytestmark = promise("ID1")


def widened(text: str) -> str:
    """A text as it is typed in full width."""
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


async def test_a_renamed_member_keeps_token_tasks_wakes_presence_and_history(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        agent, friend = await room.enroll("agent-7", "friend")
        await owner("create_task", title="Rotate the keys", assign="agent-7")
        fence = (await agent("claim_task", task="T-1"))["fence"]
        await agent("post_message", text="started")
        await owner("post_message", text="@agent-7 how far?", kind="ask")
        done = await owner("enroll", name="agent-7", rename="builder")
        assert (done["name"], done["token"], done["former"], done["renamed"]) == ("builder", None, ["agent-7"], True)
        me = await agent("check_in")
        assert me["wakes"][-1]["line"] == "@agent-7 how far?"
        assert [(task["task"], task["fence"]) for task in me["tasks"]] == [("T-1", fence)]
        (message,) = (await friend("read_messages", ids=["M-1"]))["messages"]
        assert message["author"] == "builder"
        tokens = room.tokens
    async with running_room(tmp_path / "room", era="legacy") as room:
        agent = await room.connect("builder", tokens["agent-7"])
        await agent("update_task", task="T-1", fence=fence, note="half of it")
        task = (await agent("read_board", task="T-1"))["task"]
        assert (task["holder"], {entry["member"] for entry in task["history"]}) == ("builder", {"olga", "builder"})
        (shown,) = (await agent("who", name="agent-7"))["members"]
        assert (shown["name"], shown["former"], shown["owner"]) == ("builder", ["agent-7"], "olga")
        owner = await room.owner()
        acts = {
            given: [(r["seq"], r["actor"], r["act"]) for r in (await owner("read_receipts", **given_as))["receipts"]]
            for given, given_as in {
                "now": {"actor": "builder"},
                "before": {"actor": "agent-7"},
                "about": {"subject": "@builder"},
                "about it before": {"subject": "@agent-7"},
                "about it, after": {"subject": "@builder", "after": 0},
            }.items()
        }
        assert (acts["now"], len(acts["now"])) == (acts["before"], 3)
        assert acts["about"] == acts["about it before"] == acts["about it, after"]
        assert [act for _, _, act in acts["about"]] == ["enroll", "rename"]


async def test_a_former_name_leads_to_its_member_wherever_a_name_is_given_and_the_reply_says_so(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    agent, friend = await room.enroll("agent-7", "friend", mode="live")
    await owner("create_task", title="x", review="agent-7")
    await owner("enroll", name="agent-7", rename="builder")
    new = [{"name": "agent-7", "now": "builder"}]
    for text in ("@agent-7 look", "@AGENT-7 look", f"{widened('@agent')}-{widened('7')} look"):
        posted, words, _ = await friend.said("post_message", text=text)
        assert ([f["to"] for f in posted["forecast"]], posted["new_names"]) == (["builder"], new), text
        assert "@agent-7 is @builder now" in words
    assert len((await agent("check_in"))["wakes"]) == 3
    assert (await friend("post_message", text="hello", to=["agent-7"]))["forecast"][0]["to"] == "builder"
    assert (await owner("create_task", title="y", assign="agent-7"))["new_names"] == new
    assert "new_names" not in await friend("post_message", text="@builder look again")
    assert (await owner("read_board", task="T-1"))["task"]["review"] == "builder"
    offer = await friend("claim_task", task="T-1")
    assert (await friend("hand_off", task="T-1", fence=offer["fence"], to="agent-7", note="yours"))["new_names"] == new
    assert len((await agent("read_messages", mentions="agent-7"))["messages"]) == 5
    assert (await agent("read_messages", query="look"))["messages"]
    paused = await owner("pause", target="agent-7", reason="looking")
    assert (paused["target"], paused["standing"], paused["new_names"]) == ("builder", "paused", new)
    assert (await agent.refused("post_message", text="x"))["code"] == "paused"
    await owner("enroll", name="agent-7", rename="mason")  # a paused member stays paused
    assert (await agent.refused("post_message", text="x"))["code"] == "paused"
    assert (await owner("resume", target="builder", reason="ok"))["target"] == "mason"
    token = (await owner("enroll", name="Agent-7", rotate=True, label="second"))["token"]
    assert (await (await room.connect("mason", token))("check_in"))["standing"] == "active"
    assert (await owner("revoke", name="builder", label="second"))["name"] == "mason"
    await owner("kill", target="agent-7", reason="wrong")
    assert (await owner("enroll", name="mason", rename="builder"))["former"] == ["mason", "agent-7"]
    assert (await owner("who", name="builder"))["members"][0]["standing"] == "killed"
    assert (await owner("enroll", name="agent-7", revive=True))["name"] == "builder"


@promise("ID5")
async def test_nobody_gets_a_former_name_or_one_that_looks_like_it(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("agent-10", "friend")
    await owner("enroll", name="agent-10", rename="builder")
    for taken in ("agent-10", "AGENT-10", "agent_10", "agent-l0", "agent.1O", widened("agent-10")):
        new = await owner.refused("enroll", name=taken)
        other = await owner.refused("enroll", name="friend", rename=taken)
        assert (new["code"], other["code"]) in (("conflict", "conflict"), ("invalid", "invalid")), taken
        if new["code"] == "conflict":
            assert ["@builder" in refusal["why"] for refusal in (new, other)] == [True, True], taken
    for refused in ("builder", "friend", "Builder", "room", "friend-", "fri end", "teamr00m", ""):
        assert (await owner.refused("enroll", name="friend", rename=refused))["code"] in ("conflict", "invalid")
    assert (await owner.refused("enroll", name="nobody", rename="someone"))["code"] == "not_found"
    assert (await owner.refused("enroll", name="room", rename="someone"))["code"] in ("invalid", "not_found")
    mixed = await owner.refused("enroll", name="friend", rename="pal", rotate=True)
    assert (mixed["code"], "call of its own" in mixed["why"]) == ("invalid", True)
    for own in ("Builder", "agent_10", "agent-10", "builder"):  # its own names, and what looks like them
        assert (await owner("enroll", name="builder", rename=own))["name"] == own
    assert (await owner("who", name="builder"))["members"][0]["former"] == ["agent-10", "agent_10", "Builder"]
    for number in range(17):
        await owner("enroll", name="builder", rename=f"mason-{number:02}")
    assert (await owner.refused("enroll", name="builder", rename="one-more"))["code"] == "too_large"
    assert (await owner("enroll", name="builder", rename="mason-03"))["name"] == "mason-03"


@promise("CTL7")
async def test_people_rename_themselves_and_their_own_agents_owners_anybody_and_agents_nobody(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    (agent,) = await room.enroll("op", role="operator")
    (dog,) = await room.enroll("rex", role="watchdog")
    (pia,) = await room.enroll("pia", kind="human", role="operator")
    await room.enroll("hanna", kind="human")
    await room.enroll("hers", owner="hanna")
    await pia("enroll", name="mine")
    for caller in (builder, agent, dog):
        for target in ("builder", "op", "mine", "pia", "olga"):
            assert (await caller.refused("enroll", name=target, rename="other"))["code"] == "not_allowed"
    for target in ("builder", "hers", "hanna", "olga", "op"):
        assert (await pia.refused("enroll", name=target, rename="other"))["code"] == "not_allowed", target
    assert (await pia("enroll", name="mine", rename="ours"))["name"] == "ours"
    assert (await pia("enroll", name="pia", rename="pia.k"))["name"] == "pia.k"
    assert (await owner("enroll", name="hanna", rename="johanna"))["name"] == "johanna"
    assert (await owner("who", name="hers"))["members"][0]["owner"] == "johanna"
    chat = (await owner("enroll", name="olga", chat=True))["token"]
    refused = await (await room.connect("olga", chat, era="legacy")).refused("enroll", name="op", rename="deputy")
    assert "teamroom enroll op --rename deputy" in refused["fix"]
    assert (await owner("enroll", name="olga", rename="olga.s"))["name"] == "olga.s"
    assert (await owner("pause", target="owner:hanna", reason="x"))["target"] == "owner:johanna"


@promise("LOG3", "SAF5")
async def test_verify_rebuilds_renames_and_a_restore_repeats_them_before_it_repeats_stops(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    shell = Shell(tmp_path)
    async with running_room(folder) as room:
        owner = await room.owner()
        await room.enroll("agent-7", "other", "third")
        backup = back_up(folder)
        await owner("enroll", name="agent-7", rename="builder")
        await owner("kill", target="builder", reason="it went wrong")
        await owner("enroll", name="builder", rename="mason")
        await owner("pause", target="other", reason="looking")
        renamed = await owner("enroll", name="other", rename="tester")
        await owner("redact", what=str(renamed["receipt"]), reason="private")
        tokens = room.tokens
    verified = shell.now("verify", "--data", str(folder))
    assert (verified.code, "3 former names" in verified.out) == (0, True), verified.out
    notes = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
    assert {(n["was"], n["name"]) for n in notes if "was" in n} >= {("agent-7", "builder"), ("builder", "mason")}
    restored = put_back(folder, backup)
    assert "@agent-7 is @mason, as before the room was restored" in restored.stopped
    async with running_room(folder) as room:
        members = {m["name"]: m for m in (await (await room.owner())("who"))["members"]}
        assert {name: m["standing"] for name, m in members.items() if name != "olga"} == {
            "mason": "killed",
            "tester": "paused",
            "third": "active",
        }
        assert sorted(members["mason"]["former"]) == ["agent-7", "builder"]
        answer = await room.raw(headers={"Authorization": f"Bearer {tokens['agent-7']}"})
        assert answer.status_code == 401
    assert shell.now("verify", "--data", str(folder)).code == 0


@promise("LOG3")
@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ("update former_name set member = 4 where name = 'agent-7'", "former name agent-7"),
        ("delete from former_name", "former name agent-7 is missing"),
        ("update member set name = 'agent-7', folded = 'agent-7' where name = 'builder'", "has name agent-7"),
        (
            "insert into former_name (name, folded, looks, member, seq) values ('x', 'x', 'x', 3, 2)",
            "former name x is not in the log",
        ),
    ],
)
async def test_verify_finds_a_name_that_was_changed_outside_the_log(tmp_path: Path, changed: str, found: str) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        await room.enroll("agent-7", "other")
        await owner("enroll", name="agent-7", rename="builder")
    with closing(connect_writer(tmp_path / "room" / DATABASE)) as connection:
        connection.execute(changed)
        connection.execute("commit") if connection.in_transaction else None
    done = Shell(tmp_path).now("verify", "--data", str(tmp_path / "room"))
    assert (done.code, found in done.out + done.err) == (1, True), done.out


def test_the_journal_follows_every_chain_of_names_whatever_the_order_of_its_lines() -> None:
    journal = Journal()
    stop = {"scope": "member", "state": "killed", "until": None, "by_role": "owner", "seq": 9}
    for note in (
        {**stop, "name": "a"},
        NameChange("a", "b").note,
        NameChange("b", "c").note,
        {"token": "tok_1"},
        NameChange("c", "a").note,
        NameChange("a", "d").note,
        {**stop, "name": "d", "state": "active"},
    ):
        journal.apply(note)
    assert journal.names == {"a": "d", "b": "d", "c": "d"}
    assert [(key, one.state) for key, one in journal.stops.items()] == [(("member", "d"), "active")]
    again = Journal()
    for note in journal.notes():
        again.apply(note)
    assert again == journal


async def test_the_shell_renames_and_programs_that_name_the_former_name_go_on(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        saved = room.folder / "members"
        assert (await shell.here("enroll", "agent-7", "--save")).code == 0
        done = await shell.here("enroll", "@agent-7", "--rename", "@builder")
        assert (done.code, "@agent-7 is @builder now" in done.out, "builder.token" in done.out) == (0, True, True)
        assert (saved / "builder.token").read_text() == (saved / "agent-7.token").read_text()
        assert (saved / "builder.token").stat().st_mode & 0o077 == 0
        told = await shell.here("enroll", "builder", "--rename", "mason", "--json")
        assert (told.json["renamed"], Path(told.json["token_file"]).name) == (True, "mason.token")
        rotated = await shell.here("enroll", "agent-7", "--rotate", "--save", "--json")
        assert rotated.json["name"] == "mason"
        assert len({(saved / f"{name}.token").read_text() for name in ("agent-7", "builder", "mason")}) == 1
        for name in ("agent-7", "builder", "Mason"):
            connected = await shell.process("connect", "--as", name)
            assert connected.code == 0, (name, connected.err)
        roster = (await shell.here("roster")).out
        assert "@mason" in roster
        assert "formerly builder, agent-7" in roster
        assert (await shell.here("enroll", "new-member", "--rename", "@")).code == 2
        refused = await shell.here("enroll", "agent-7")
        assert (refused.code != 0, "agent-7 is a former name of @mason" in refused.err) == (True, True)
        message = await shell.here("pause", "builder", "--reason", "x")
        assert "@builder is @mason now." in message.err
        own = token_file(tmp_path / "own.token", (saved / "mason.token").read_text().strip())
        assert (await shell.here("enroll", "mason", "--rename", "agent-8", "--token-file", str(own))).code != 0


async def test_letters_repairs_pages_and_redactions_go_on_after_a_rename(tmp_path: Path) -> None:
    with receiver() as phone:
        settings = {"notify": {"olga": [phone.url]}, "notify_digest": "", "notify_group_seconds": 0}
        phone.open.set()
        async with running_room(tmp_path / "room", **settings) as room:
            owner = await room.owner()
            (agent,) = await room.enroll("agent-7", mode="live")
            (rex,) = await room.enroll("rex", role="watchdog")
            await rex("declare_capabilities", capabilities=["runtime:agent-7"])
            labelled = (await owner("enroll", name="agent-7", label="laptop of hanna"))["receipt"]
            for name, new in (("agent-7", "builder"), ("olga", "olga.s"), ("rex", "guard")):
                await owner("enroll", name=name, rename=new)
            await agent("post_message", text="@olga look", kind="ask")
            await room.later(1)
            await anyio.to_thread.run_sync(phone.until, lambda found: bool(found.letters))
            assert "@builder asks in M-1" in phone.letters[0][1]
            assert (await owner("notify", name="olga"))["name"] == "olga.s"
            channels = json.loads((await owner.client.read_resource("teamroom://channels")).contents[1].text)  # type: ignore[union-attr]
            assert [(person["name"], person["is_here"]) for person in channels["people"]] == [("olga.s", True)]
            repair = await rex("repair", name="agent-7", found="it is dead")
            assert (repair["name"], repair["task"]) == ("builder", "T-1")
            await rex("claim_task", task="T-1")
            assert (await rex("read_board", task="T-1"))["task"]["needs"] == ["runtime:agent-7"]
            for uri in ("teamroom://members/agent-7", "teamroom://members/BUILDER"):
                member = json.loads((await owner.client.read_resource(uri)).contents[1].text)["members"][0]  # type: ignore[union-attr]
                assert (member["name"], member["former"]) == ("builder", ["agent-7"])
            await owner("redact", what=str(labelled), reason="private")
            refused = await owner.refused("revoke", name="builder", label="laptop of hanna")
            assert refused["code"] == "not_found"
