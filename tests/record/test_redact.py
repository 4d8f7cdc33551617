"""Content is taken away for good, and the log still verifies (LOG3)."""

from pathlib import Path

import anyio.to_thread
import pytest

from teamroom.server.acts.receipts.redact import PAGE
from teamroom.server.door.runtimes import WRITTEN_SECONDS
from teamroom.server.rules.text import REDACTED
from teamroom.server.store.folder import DATABASE
from tests.support.eventually import until
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom
from tests.support.shells import Shell
from tests.support.visitors import visitor

pytestmark = promise("LOG3")

SECRET = "swordfish-8471"
A_DAY = 86_400.0


def files_with(folder: Path, text: str) -> list[str]:
    """The room's files that hold a text, the write-ahead log too."""
    names = (DATABASE, f"{DATABASE}-wal", "control.journal", "seal.json")
    return [name for name in names if (folder / name).exists() and text.encode() in (folder / name).read_bytes()]


async def until_nowhere(folder: Path, text: str) -> None:
    """Wait until no file of the room holds a text any more."""
    await until(lambda: not files_with(folder, text))


async def verify(room: RunningRoom) -> None:
    """The log stands, each entry on the one before it."""
    done = await Shell(room.folder.parent).here("verify", "--data", str(room.folder))
    assert done.code == 0, done.out + done.err


async def every_text(member: Member) -> str:
    """Everything that a member can read of the room."""
    found = [str(await member("read_messages")), str(await member("read_board", state="all"))]
    found += [
        str(await member("read_board", task=t["task"])) for t in (await member("read_board", state="all"))["tasks"]
    ]
    found += [str(await member("check_in")), str(await member("read_receipts", limit=100))]
    for uri in ("teamroom://stream", "teamroom://inbox", "teamroom://board"):
        found.append(str(await member.client.read_resource(uri)))
    return "\n".join(found)


async def write_everywhere(room: RunningRoom, owner: Member) -> None:
    """Put the secret wherever a member writes about a message, a task and an offer."""
    holder, other = await room.enroll("holder", "other")
    await holder("post_message", text=f"the password is {SECRET}", to=["olga", "other"])
    await owner("create_task", title=f"Use {SECRET}", detail=f"it is {SECRET}", assign="holder")
    fence = (await holder("claim_task", task="T-1"))["fence"]
    await holder("update_task", task="T-1", fence=fence, status="blocked", blocked_on="3600", note=SECRET)
    artifacts = [{"kind": "link", "ref": SECRET}]
    await holder("hand_off", task="T-1", fence=fence, to="other", note=SECRET, artifacts=artifacts)
    fence = (await other("answer_hand_off", offer="O-1", accept=True, reason=SECRET))["fence"]
    evidence = [{"kind": "link", "ref": SECRET}]
    await other("complete_task", task="T-1", fence=fence, summary=SECRET, evidence=evidence)
    await owner("review_task", task="T-1", verdict="accept", note=SECRET)


@pytest.mark.parametrize("what", [("M-1", "T-1"), None], ids=["by name", "by age"])
async def test_redacted_content_is_nowhere_and_the_log_still_verifies(
    room: RunningRoom, what: tuple[str, ...] | None
) -> None:
    owner = await room.owner()
    await write_everywhere(room, owner)
    assert SECRET in await every_text(owner)
    assert files_with(room.folder, SECRET), "what is looked for would be found"
    if what is None:
        room.time.forward(2 * A_DAY)
        await owner("redact", older_than_seconds=A_DAY, reason="it was a password")
    else:
        for name in what:
            assert (await owner("redact", what=name, reason="it was a password"))["entries"] >= 1
    assert SECRET not in await every_text(owner)
    await until_nowhere(room.folder, SECRET)
    await verify(room)


async def test_one_entry_is_redacted_by_its_number_and_the_others_stay(room: RunningRoom) -> None:
    owner = await room.owner()
    first = await owner("post_message", text=f"one {SECRET}")
    await owner("post_message", text="two stays")
    done = await owner("redact", what=str(first["receipt"]), reason="a password")
    assert done["entries"] == 1
    texts = [(m["id"], m["summary"], m["text"]) for m in (await owner("read_messages"))["messages"]]
    assert texts == [("M-1", "(redacted)", ""), ("M-2", "two stays", "two stays")]
    (receipt,) = (await owner("read_receipts", act="redact"))["receipts"]
    assert receipt["detail"] == {"entries": [first["receipt"]], "reason": "a password"}
    assert (await owner("redact", what="M-1", reason="again"))["entries"] == 0
    await verify(room)


async def test_redaction_by_age_keeps_unfinished_work_and_the_record_of_stops(room: RunningRoom) -> None:
    owner = await room.owner()
    (holder,) = await room.enroll("holder")
    await owner("create_task", title="A long task")
    await holder("claim_task", task="T-1")
    await owner("pause", target="holder", reason="looking into it")
    await owner("resume", target="holder", reason="it was nothing")
    room.time.forward(100 * A_DAY)
    await owner("post_message", text="new enough")
    await owner("redact", older_than_seconds=90 * A_DAY, reason="as every quarter")
    assert (await owner("read_board", task="T-1"))["task"]["title"] == "A long task"
    reasons = [r["detail"].get("reason") for r in (await owner("read_receipts", act="pause"))["receipts"]]
    assert reasons == ["looking into it"]
    assert (await owner("read_messages"))["messages"][-1]["text"] == "new enough"
    await verify(room)


async def test_an_old_log_is_redacted_page_by_page(room: RunningRoom) -> None:
    owner = await room.owner()
    for number in range(3 * PAGE):
        await owner("post_message", text=f"{number} {SECRET}")
    room.time.forward(2 * A_DAY)
    shell = Shell(room.folder.parent, {"TEAMROOM_TOKEN": room.owner_token})
    arguments = ("redact", "--older-than", "1d", "--reason", "a day is enough", "--url", room.url, "--json")
    done = await anyio.to_thread.run_sync(shell.run, *arguments)
    assert done.code == 0, done.err
    assert done.json["entries"] == 3 * PAGE
    assert len(done.json["receipts"]) == 3
    await until_nowhere(room.folder, SECRET)
    await verify(room)


async def test_only_a_room_owner_redacts_content(room: RunningRoom) -> None:
    (agent,) = await room.enroll("agent")
    (operator,) = await room.enroll("ops", kind="human", role="operator")
    await agent("post_message", text="mine")
    for member in (agent, operator):
        assert (await member.refused("redact", what="M-1", reason="I want it gone"))["code"] == "not_allowed"
        assert "redact" not in {tool.name for tool in (await member.client.list_tools()).tools}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "invalid"),
        ({"what": "M-1", "older_than_seconds": 7_200}, "invalid"),
        ({"what": "M-99"}, "not_found"),
        ({"what": "T-99"}, "not_found"),
        ({"what": "O-99"}, "not_found"),
        ({"what": "99999"}, "not_found"),
        ({"what": "9" * 100}, "not_found"),
        ({"what": "@nosuch"}, "not_found"),
        ({"what": "olga"}, "invalid"),
        ({"what": "M-x"}, "invalid"),
    ],
)
async def test_missing_content_cannot_be_redacted(room: RunningRoom, arguments: dict[str, object], code: str) -> None:
    owner = await room.owner()
    assert (await owner.refused("redact", **arguments, reason="none"))["code"] == code


# ------------------------------------------------------------------ what runtimes report

WHERE = dict.fromkeys(("host", "folder", "harness", "version", "branch"), SECRET)


async def report(room: RunningRoom, member: Member, where: dict[str, str], tool: str) -> None:
    """A runtime of the builder says where it runs, and its harness what it waits for; the room writes both down."""
    assert not (await member.said("heartbeat", runtime=where))[2]
    headers = {"Authorization": f"Bearer {room.tokens['builder']}"}
    asks = {"hook_event_name": "PermissionRequest", "tool_name": tool}
    assert (await room.raw("POST", "/hooks/claude", json=asks, headers=headers)).status_code == 200
    await room.later(WRITTEN_SECONDS)


async def every_view(room: RunningRoom, owner: Member) -> str:
    """What is shown of the builder: to members, on the page, in the morning, and in an export."""
    found = [await every_text(owner), str(await owner("who", name="builder")), str(await owner("overnight"))]
    async with visitor(room) as browser:
        found += [(await browser.get(path)).text for path in ("/", "/members/builder")]
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    found += [(await shell.here(*words)).out for words in (("roster", "builder"), ("export",), ("overnight",))]
    return "\n".join(found)


async def test_what_a_runtime_reported_is_redacted_and_stays_so_when_it_reports_the_same(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder", mode="live")
    for _ in range(3):
        await report(room, builder, WHERE, SECRET)
        await report(room, builder, {**WHERE, "host": f"other-{SECRET}"}, SECRET)
    assert (await every_view(room, owner)).count(SECRET) > 5, "what is looked for would be found"
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    done = await shell.here("redact", "@builder", "--reason", "a password in a branch")
    assert done.code == 0, done.err
    assert "3 reports of its runtimes lost the text, and cannot repeat it." in done.out
    assert (await owner("who", name="builder"))["members"][0]["on_two_hosts"], "two are two, whatever they are called"
    for _ in range(2):
        assert SECRET not in await every_view(room, owner)
        await until_nowhere(room.folder, SECRET)
        await report(room, builder, WHERE, SECRET)
    shown = (await owner("who", name="builder"))["members"][0]
    assert {one["branch"] for one in shown["runtimes"]} == {REDACTED}
    assert shown["harness"]["tool"] == REDACTED
    await verify(room)
    await report(room, builder, {**WHERE, "branch": "main"}, "Bash")
    shown = (await owner("who", name="builder"))["members"][0]
    assert {one["branch"] for one in shown["runtimes"]} == {"main", REDACTED}
    assert shown["harness"]["tool"] == "Bash"


async def test_a_redaction_of_reports_leaves_everything_else_about_the_member(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder", mode="live")
    await owner("pause", target="builder", reason="looking into it")
    await owner("resume", target="builder", reason="it was nothing")
    assert (await owner("redact", what="@builder", reason="none"))["reports"] == 0
    await report(room, builder, WHERE, SECRET)
    done = await owner("redact", what="@builder", reason="a password")
    assert (done["reports"], done["more"]) == (2, False)
    assert (await owner("redact", what="@builder", reason="again"))["receipt"] is None
    (paused,) = (await owner("read_receipts", act="pause"))["receipts"]
    assert paused["detail"]["reason"] == "looking into it"
    (entry,) = (await owner("read_receipts", act="redact"))["receipts"]
    assert entry["summary"] == "@olga redacted what runtimes of @builder report: “a password”"


async def test_many_entries_about_reports_are_redacted_page_by_page(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder", mode="live")
    for number in range(PAGE + 1):
        await report(room, builder, {"host": "mill"}, f"{SECRET}-{number}")
        await room.later(WRITTEN_SECONDS)
    assert (await owner("redact", what="@builder", reason="a password"))["more"]
    await room.later(1)
    assert SECRET not in await every_view(room, owner)
    await until_nowhere(room.folder, SECRET)
    await verify(room)


async def test_a_redaction_by_age_removes_old_reports(room: RunningRoom) -> None:
    owner = await room.owner()
    older, builder = await room.enroll("older", "builder", mode="live")
    await report(room, builder, WHERE, SECRET)
    await room.later(2 * A_DAY)
    await room.later(2 * A_DAY)
    assert not (await older.said("heartbeat", runtime={"host": "mill"}))[2]
    await room.later(1)
    await owner("redact", older_than_seconds=A_DAY, reason="as every day")
    assert SECRET not in await every_view(room, owner)
    await until_nowhere(room.folder, SECRET)
    shown = (await owner("who", name="older"))["members"][0]
    assert [one["host"] for one in shown["runtimes"]] == ["mill"], "what is new stays"
