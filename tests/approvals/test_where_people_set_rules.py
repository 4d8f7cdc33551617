"""People set approval rules in the shell and on the page, and decide about calls there."""

import json
import re

import pytest

from teamroom.server.acts.approvals import rules
from tests.approvals.test_approvals import bash, gate
from tests.support.promises import promise
from tests.support.rooms import RunningRoom
from tests.support.shells import Shell
from tests.support.visitors import visitor

pytestmark = promise("DEC4")


def shell_of(room: RunningRoom) -> Shell:
    """The owner's shell."""
    return Shell(room.folder.parent, {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.owner_token})


async def test_in_the_shell_a_person_makes_lists_and_removes_rules_and_allows_a_call(room: RunningRoom) -> None:
    await room.enroll("builder")
    shell = shell_of(room)
    assert (await shell.here("rules")).out == "There are no approval rules.\n"
    made = await shell.here(
        "rules", "@builder", "Bash", "--except", "git log *", "--except", "ls", "--scope", "run:all"
    )
    assert made.out.startswith(
        "Calls of @builder that match “Bash” wait for a person, except “git log *”, “ls”, unless"
    )
    assert await gate(room, bash("ls")) == ""
    assert "D-1" in await gate(room, bash("git push"))
    shown = (await shell.here("decide", "D-1")).out
    assert "“May @builder run this Bash call once? git push”" in shown
    assert '"command": "git push"' in shown
    await shell.here("decide", "D-1", "allow")
    assert await gate(room, bash("git push")) == ""
    listed = await shell.here("rules")
    number = listed.out.split()[0]
    assert "@builder" in listed.out
    assert "waits for a person (rule" in (await shell.here("roster", "builder")).out
    (rule,) = (await shell.here("rules", "--json")).json["rules"]
    assert (str(rule["rule"]), rule["exceptions"]) == (number, ["git log *", "ls"])
    removed = await shell.here("rules", "--remove", number)
    assert "no longer wait for a person" in removed.out
    assert await gate(room, bash("git push")) == ""


async def test_rules_beyond_the_first_page_have_a_page(room: RunningRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "SHOWN", 2)
    await room.enroll("builder")
    owner = await room.owner()
    made = [(await owner("require_approval", to="builder", match=f"Bash({n}*)"))["rule"] for n in range(5)]
    listed = (await shell_of(room).here("rules", "--json")).json
    assert ([rule["rule"] for rule in listed["rules"]], listed["next"]) == (made, None)
    text = (await owner.client.read_resource("teamroom://rules")).contents[0].text
    assert f"More: teamroom://rules/{made[1]}" in text
    second = json.loads((await owner.client.read_resource(f"teamroom://rules/{made[1]}")).contents[1].text)
    assert [rule["rule"] for rule in second["rules"]] == made[2:4]
    async with visitor(room) as browser:
        first = await browser.get("/settings")
        assert f"/settings?after={made[1]}#rules" in first.links
        assert "Bash(2*)" not in first.text
        assert "Bash(2*)" in (await browser.get(f"/settings?after={made[1]}")).text


async def test_what_goes_wrong_in_the_shell_says_so(room: RunningRoom) -> None:
    await room.enroll("builder")
    shell = shell_of(room)
    for words, code, why in (
        (("rules", "builder"), 2, "Give a target and a match."),
        (("rules", "--except", "ls"), 2, "Give a target and a match."),
        (("rules", "builder", "Bash", "--remove", "3"), 2, "either a rule to make or one to remove"),
        (("rules", "builder", "Bash(git push"), 1, "is not a match"),
        (("rules", "--remove", "99"), 1, "There is no approval rule 99"),
        (("rules", "nobody", "Bash"), 1, "nobody"),
    ):
        done = await shell.here(*words)
        assert (done.code, why in done.err) == (code, True), done


async def test_on_the_page_a_person_makes_and_removes_rules_and_allows_a_call(room: RunningRoom) -> None:
    await room.enroll("builder")
    async with visitor(room) as browser:
        page = await browser.get("/members/builder")
        assert "No call of its own tools waits for a person." in page.text
        made = await browser.send(
            page.form("require_approval"), match="Bash", exceptions="git log *\nls", scope="run:all"
        )
        assert re.search(r"Bash\s*, except\s+git log \*\s*,\s*ls\s*, unless authorised for\s+run:all", made.text)
        assert await gate(room, bash("ls")) == ""
        assert "D-1" in await gate(room, bash("git push"))
        decision = await browser.get("/decisions/D-1")
        assert "May @builder run this Bash call once?" in decision.text
        assert '"command": "git push"' in decision.text
        await browser.send(decision.form("decide"), "allow")
        assert await gate(room, bash("git push")) == ""
        removed = await browser.send((await browser.get("/settings")).form("require_approval", "Remove"))
        assert "There are no approval rules." in (await browser.get("/settings")).text, removed.text
        assert await gate(room, bash("git push")) == ""
        form = removed.form("require_approval", "Let it wait for a person")
        made = await browser.send(form, match="Write")
        assert re.search(r"Write\s*, for owner:\s*olga\s*, by\s+@olga", made.text)
        assert "D-2" in await gate(room, {"tool_name": "Write", "tool_input": {"file_path": "/a", "content": ""}})


@promise("QUI1")
async def test_what_the_stream_says_of_rules_calls_and_passes_is_one_line_each(room: RunningRoom) -> None:
    await room.enroll("builder")
    owner = await room.owner()
    await owner("require_approval", to="builder", match=f"Bash({'x' * 150}*)", exceptions=["y" * 150])
    await gate(room, bash("x" * 5_000))
    await owner("decide", decision="D-1", option="allow")
    assert await gate(room, bash("x" * 5_000)) == ""
    lines = [e["summary"] for e in room.entries() if e["act"] in ("require_approval", "request_decision", "pass_call")]
    assert len(lines) == 3
    assert all(len(line) <= 140 and "\n" not in line for line in lines)
    details = [json.loads(e["detail"]) for e in room.entries() if e["act"] == "pass_call"]
    assert details[0]["decision"] == "D-1"
