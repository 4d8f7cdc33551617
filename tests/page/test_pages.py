"""The page over HTTP, without script: what each address shows, and what its forms do."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from teamroom.clients.local.demo.clock import STORY_SECONDS
from teamroom.resources.page.assets import assets
from teamroom.resources.page.shared import JOIN_SECONDS, Shared
from teamroom.resources.page.views import VIEWS
from teamroom.server.clock import WallTime
from teamroom.server.health import BACKUPS
from teamroom.server.store.folder import DATABASE
from tests.support.demo import play_demo
from tests.support.promises import house, promise
from tests.support.rooms import Member, RunningRoom, Time, running_room
from tests.support.visitors import Shown, Visitor, visitor

pytestmark = house


async def work(room: RunningRoom) -> dict[str, Any]:
    """A room with something of each kind in it."""
    builder, checker = await room.enroll("builder", "checker")
    olga = await room.connect("olga")
    await builder("check_in")
    task = (await olga("create_task", title="Build the page", detail="All of it", needs=["tool:docker"]))["task"]
    await builder("declare_capabilities", capabilities=["tool:docker"])
    claimed = await builder("claim_task", task=task)
    decision = await builder("request_decision", question="Ship it?", options=["yes", "no"], task=task)
    asked = await builder("post_message", text="@olga which port?\nAny will do.", kind="ask")
    await olga("authorize", to="builder", scope="deploy:staging")
    return {
        "builder": builder,
        "checker": checker,
        "olga": olga,
        "task": task,
        "fence": claimed["fence"],
        "decision": decision["decision"],
        "message": asked["message"],
    }


async def test_the_first_page_answers_the_four_questions(room: RunningRoom) -> None:
    found = await work(room)
    await found["olga"]("pause", target="checker", reason="a loop in its tests", for_seconds=600)
    async with visitor(room) as browser:
        text = (await browser.get("/")).text
    assert "Needs you 2" in text
    assert "@builder asks you to decide on T-1" in text
    assert "Ship it?" in text
    assert "@builder asks" in text
    assert "which port?" in text
    assert re.search(r"@checker paused.*Paused by @olga .*: a loop in its tests", text)
    assert "until" in text
    assert "may deploy:staging until" in text
    assert re.search(r"T-1 claimed Build the page @builder", text)


@promise("PRS2")
async def test_each_page_with_members_marks_a_mode_that_nothing_keeps_and_says_when_a_member_answers(
    room: RunningRoom,
) -> None:
    (codex,) = await room.enroll("codex", mode="live")
    await codex("check_in")
    async with visitor(room) as browser:
        for path in ("/", "/members", "/members/codex"):
            text = (await browser.get(path)).text
            assert "live (no listener)" in text, path
            assert "no listener: it answers when its owner opens it" in text, path


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
async def test_every_address_of_the_page_is_shown(room: RunningRoom, view: str) -> None:
    found = await work(room)
    paths = {
        "home": "/?state=claimed&query=Build",
        "task": f"/tasks/{found['task']}",
        "member": "/members/builder",
        "thread": f"/messages/{found['message']}",
        "decision": f"/decisions/{found['decision']}",
        "acts": "/acts",
    }
    async with visitor(room) as browser:
        shown = await browser.get(paths.get(view, f"/{view}"))
        assert shown.status == 200, shown.text
        assert "@olga" in shown.text
        assert len(shown.ids) == len(set(shown.ids)), "no two elements have one id"
        for link in set(shown.links) - {"#main"}:
            assert (await browser.get(link)).status == 200, link


async def test_every_row_of_every_page_can_be_chosen_with_the_keys(room: RunningRoom) -> None:
    found = await work(room)
    await found["olga"]("pause", target="checker", reason="a loop in its tests")
    await found["checker"].refused("check_in")
    paths = ("/", "/board", "/members", "/decisions", "/overnight?hours=8", "/log", "/log?query=port", "/settings")
    things = (f"/tasks/{found['task']}", f"/messages/{found['message']}", "/members/builder", "/decisions/D-1")
    async with visitor(room) as browser:
        for path in (*paths, *things):
            html = (await browser.get(path)).answer.text
            rows = re.findall(r"<li [^>]*class=\"row[^>]*>", html)
            ids = [name[1] if (name := re.search(r' id="([^"]+)"', row)) else None for row in rows]
            assert None not in ids, path
            assert len(set(ids)) == len(ids), path


async def test_a_thread_shows_how_far_each_wake_came_and_the_reminders(room: RunningRoom) -> None:
    found = await work(room)
    await found["builder"]("heartbeat")
    asked = await found["olga"]("post_message", text="@builder which branch? and @checker?", kind="ask")
    await found["builder"]("check_in")
    await found["builder"]("post_message", text="main", reply_to=asked["message"])
    async with visitor(room) as browser:
        text = (await browser.get(f"/messages/{asked['message']}")).text
        member = (await browser.get("/members/builder")).text
    assert f"Whom {asked['message']} woke" in text
    assert re.search(r"@builder notified: not seen, woken: not seen, acted \d", text), "no listener was there"
    assert re.search(r"@checker notified: not seen, woken: not seen, acted: not seen", text)
    assert "wake not verified" in member


async def test_a_decision_that_waits_shows_its_reminders(room: RunningRoom) -> None:
    found = await work(room)
    for _ in range(3):
        await room.later(8 * 3600)
    async with visitor(room) as browser:
        text = (await browser.get(f"/decisions/{found['decision']}")).text
    assert re.search(r"Reminders .* decision of @olga : (sent|held|silent)", text)


async def test_no_two_buttons_of_a_page_have_one_name_unless_they_do_the_same(room: RunningRoom) -> None:
    found = await work(room)
    builder, checker, olga = found["builder"], found["checker"], found["olga"]
    await builder("request_decision", question="Which port?", options=["yes", "no"])
    await checker("post_message", text="@olga which host?", kind="ask")
    for title in ("One", "Two"):
        task = (await olga("create_task", title=title, review="olga"))["task"]
        fence = (await checker("claim_task", task=task))["fence"]
        await checker("complete_task", task=task, fence=fence, summary="x", evidence=[{"kind": "test", "ref": "x"}])
        offered = (await olga("create_task", title=f"{title} more"))["task"]
        fence = (await builder("claim_task", task=offered))["fence"]
        await builder("hand_off", task=offered, fence=fence, to="olga", note="x")
        await olga("authorize", to="builder", scope=f"deploy:{title}")
        await olga("notify", add_channel=f"json://example.org/{title}")
    await olga("pause", target="checker", reason="x")
    paths = [
        *(path for view in VIEWS if re.fullmatch(view.pattern, path := f"/{view.name}")),
        *("/", "/tasks/T-1", "/tasks/T-2", "/members/builder", "/members/checker", "/decisions/D-1"),
        *(f"/messages/{found['message']}", "/tasks/T-99"),
    ]
    async with visitor(room) as browser:
        shown = [await browser.get(path) for path in paths]
        shown.append(await browser.send((await browser.get("/enrol")).form("enroll"), name="newcomer"))
    for page in shown:
        does: dict[str, str] = {}
        assert page.buttons
        for name, act in page.buttons:
            assert name.partition(" ")[2]
            assert does.setdefault(name, act) == act, f"two buttons are called {name}"


async def test_an_address_of_nothing_is_refused_with_what_to_do(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        for path in ("/tasks/T-9", "/members/nobody", "/messages/M-9", "/decisions/D-9", "/part/nothing"):
            shown = await browser.get(path)
            assert shown.status == 404, path
            assert "The room" in shown.text
        wrong = ("/tasks/x", "/?state=wrong", "/board?after=x", "/log?after=-1", "/overnight?hours=x", "/log?after=x")
        for path in wrong:
            assert (await browser.get(path)).status == 400, path


async def test_a_stop_binds_at_once_and_can_be_undone_with_one_button(room: RunningRoom) -> None:
    found = await work(room)
    async with visitor(room) as browser:
        home = await browser.get("/")
        stopped = await browser.send(home.form("pause", target="builder"))
        assert "@olga paused @builder" in stopped.text
        assert "receipt" in stopped.text
        assert (await found["builder"].refused("update_task", task="T-1", note="x"))["code"] == "paused"
        await browser.send(stopped.form("resume", "Undo"))
        await found["builder"]("update_task", task="T-1", fence=found["fence"], note="on it")
        everybody = await browser.send((await browser.get("/")).form("pause", "Pause all"))
        assert "The whole room is paused by @olga" in everybody.text
        assert (await found["checker"].refused("create_task", title="x"))["code"] == "paused"
        await browser.send(everybody.form("resume", "Resume all"))
        await found["checker"]("create_task", title="x")


async def test_a_kill_wants_the_name_typed_and_a_reason(room: RunningRoom) -> None:
    found = await work(room)
    async with visitor(room) as browser:
        form = (await browser.get("/members/builder")).form("kill")
        for typed in ("", "checker", "build"):
            refused = await browser.send(form, typed=typed, reason="it deletes files")
            assert refused.status == 403
            assert "Nothing was done" in refused.text
        assert (await browser.send(form, typed="builder", reason="")).status == 400
        done = await browser.send(form, typed="@Builder", reason="it deletes files")
        assert "killed" in done.text
    assert (await found["olga"]("who", name="builder"))["members"][0]["standing"] == "killed"


async def test_a_person_decides_with_one_button_and_the_agent_gets_the_answer(room: RunningRoom) -> None:
    found = await work(room)
    async with visitor(room) as browser:
        home = await browser.get("/")
        done = await browser.send(home.form("decide", option="no"))
        assert "Needs you 1" in done.text
        again = await browser.send(home.form("decide", option="yes"))
        assert again.status == 409
        page = await browser.get(f"/decisions/{found['decision']}")
        assert re.search(r"no\s*, by @olga", page.text)
    assert (await found["builder"]("check_in"))["decisions"][0]["answer"] == "no"


async def test_a_person_answers_reviews_posts_and_adds_tasks(room: RunningRoom) -> None:
    found = await work(room)
    builder: Member = found["builder"]
    evidence = [{"kind": "test", "ref": "all passed"}]
    async with visitor(room) as browser:
        await browser.send((await browser.get("/")).form("post_message", "Reply"), text="8080")
        assert (await browser.get("/")).text.count("which port?") == 1, "only the stream has it now"
        await found["olga"]("update_task", task="T-1", changes={"review": "olga"})
        await builder("complete_task", task="T-1", fence=found["fence"], summary="Built", evidence=evidence)
        page = await browser.get("/tasks/T-1")
        assert "test: all passed" in page.text
        back = await browser.send(page.form("review_task", "Send back"), note="no screenshot")
        assert "claimed" in back.text
        post = (await browser.get("/")).form("post_message", "Post")
        await browser.send(post, text="@builder see the note", kind="report")
        added = await browser.send(
            (await browser.get("/board")).form("create_task"),
            title="Take a screenshot",
            depends_on="T-1\n",
            needs="tool:docker\nrepo:acme/api",
            due="2h",
            priority="3",
        )
        assert "Take a screenshot" in added.text
        task = await browser.get("/tasks/T-2")
        assert "Waits for T-1" in task.text
        assert re.search(r"Needs\s+repo:acme/api\s*,\s*tool:docker", task.text)
    assert any("8080" in wake["line"] for wake in (await builder("check_in"))["wakes"])


async def test_a_person_works_on_a_task_through_the_page(room: RunningRoom) -> None:
    await room.enroll("checker")
    olga = await room.connect("olga")
    await olga("create_task", title="Write the docs")
    async with visitor(room) as browser:
        page = await browser.send((await browser.get("/tasks/T-1")).form("claim_task"))
        page = await browser.send(page.form("update_task", "Say what moved"), note="half of it")
        page = await browser.send(page.form("update_task", "Block"), blocked_on="@checker", note="needs a look")
        assert "blocked" in page.text
        page = await browser.send(page.form("update_task", "Change it"), **{"changes.title": "Write all the docs"})
        assert "Write all the docs" in page.text
        page = await browser.send(
            page.form("complete_task"), summary="done", evidence="commit: abc123\nlink: https://x.y"
        )
        assert "commit: abc123" in page.text
        assert "in review" in page.text


async def test_a_form_that_is_sent_twice_is_one_act(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        form = (await browser.get("/")).form("post_message", "Post")
        for _ in range(2):
            await browser.send(form, text="once")
        assert (await browser.get("/log?query=once")).text.count("once") == 1


async def test_a_refusal_is_shown_with_its_fix_and_the_way_back(room: RunningRoom) -> None:
    await work(room)
    async with visitor(room) as browser:
        refused = await browser.send((await browser.get("/")).form("create_task"), title="x", depends_on="T-99")
        assert refused.status in (404, 409)
        assert "Refused" in refused.text
        assert "/" in refused.links


@promise("SAF8", "HND4")
async def test_what_a_text_lost_and_whom_it_does_not_reach_is_shown_with_the_way_back(room: RunningRoom) -> None:
    await work(room)
    async with visitor(room) as browser:

        async def add(title: str, detail: str) -> Shown:
            return await browser.send((await browser.get("/")).form("create_task"), title=title, detail=detail)

        for title, detail, said in (
            ("tell @bulder", "x", "@bulder reaches nobody: no member has this name; near: @builder"),
            ("log in", "a\x1b[31mb", "Removed from your text: 1 escape sequence."),
        ):
            shown = await add(title, detail)
            assert said in shown.text, shown.text
            assert "/" in shown.links
        assert "Back" not in (await add("as it is", "x")).text


async def test_a_person_enrols_an_agent_whose_token_is_shown_once(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        shown = await browser.send((await browser.get("/enrol")).form("enroll"), name="newcomer")
        token = re.search(r"tr_[0-9a-f]{64}", shown.text)
        assert token is not None
        assert "claude mcp add" in shown.text
        assert "codex mcp add" in shown.text
        newcomer = await room.connect("newcomer", token[0])
        assert (await newcomer("check_in"))["standing"] == "active"
        assert token[0] not in (await browser.get("/members/newcomer")).text


async def test_a_policy_changes_from_the_next_act_on(room: RunningRoom) -> None:
    found = await work(room)
    async with visitor(room) as browser:
        page = await browser.get("/settings")
        await browser.send(page.form("set_policy", name="wip_cap"), value="1")
    another = (await found["olga"]("create_task", title="another"))["task"]
    assert (await found["builder"].refused("claim_task", task=another))["code"] == "wip_cap"


async def test_a_person_changes_her_letters_and_channels_at_once(room: RunningRoom) -> None:
    secret = "json://example.org/very-secret-password"
    async with visitor(room) as browser:
        page = await browser.get("/settings")
        page = await browser.send(
            page.form("notify", "Change"), quiet="22:00-07:00", zone="Europe/Berlin", suspects="yes"
        )
        assert "quiet hours 22:00-07:00" in page.text
        assert "time zone Europe/Berlin" in page.text
        assert "told about suspects: yes" in page.text
        page = await browser.send(page.form("notify", "Add the channel"), add_channel=secret)
        assert "json: nothing delivered yet" in page.text
        for path in ("/settings", "/log", "/acts", "/members/olga", "/"):
            assert "very-secret" not in (await browser.get(path)).answer.text
        page = await browser.send(page.form("notify", "Remove"))
        assert "You have no channel" in page.text
        refused = await browser.send(page.form("notify", "Change"), quiet="all night")
        assert refused.status == 400
    kept = b"".join(path.read_bytes() for path in room.folder.rglob("*") if path.is_file())
    assert b"very-secret" not in kept, "the channel is removed, and nothing else ever had its address"


async def test_every_act_of_the_shell_has_a_form(room: RunningRoom) -> None:
    from teamroom.server.acts.act import Act
    from teamroom.tools.serve import TOOLS

    async with visitor(room) as browser:
        page = await browser.get("/acts")
        acts = {name for name, tool in TOOLS.items() if isinstance(tool.does, Act)}
        assert {form.action.removeprefix("/act/") for form in page.forms} >= acts
        for act in sorted(acts - {"kill"}):
            fields = set(page.form(act, act.replace("_", " ").capitalize()).fields) - {"then", "request_id", "typed"}
            model = TOOLS[act].does.arguments
            names = {field.alias or name for name, field in model.model_fields.items()}
            checkboxes = {name for name, field in model.model_fields.items() if field.annotation is bool}
            assert fields | checkboxes == names, act


async def test_a_paused_person_is_told_who_paused_them(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human")
    async with visitor(room, "hanna") as browser:
        olga = await room.connect("olga")
        await olga("pause", target="hanna", reason="on holiday")
        shown = await browser.get("/")
        assert shown.status == 403
        assert "paused by @olga" in shown.text
        assert "on holiday" in shown.text


async def test_a_person_who_may_not_stop_others_sees_no_button_for_it(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human", role="member")
    await room.enroll("hers", owner="hanna")
    await room.enroll("his")

    async def stops(browser: Visitor) -> set[str]:
        return {form.fields["target"] for form in (await browser.get("/")).forms if form.action == "/act/pause"}

    async with visitor(room, "hanna") as hanna, visitor(room) as olga:
        assert await stops(hanna) == {"hers"}
        assert await stops(olga) == {"room", "hers", "his"}


async def test_the_log_says_whether_the_entries_that_it_shows_verify(room: RunningRoom) -> None:
    await work(room)
    async with visitor(room) as browser:
        text = (await browser.get("/log")).text
        assert re.search(r"This page checked entries 1 to [0-9]+ just now, and no others", text)
        assert "No backup has checked all entries yet. On the room's machine, teamroom verify checks all" in text
        assert "The seal of the log's end: " in text
        room.room.health.looked_at(BACKUPS, WallTime(room.time()), "")
        text = (await browser.get("/log")).text
        assert re.search(r"All entries were checked last with the newest backup, made [0-9]+ \w+ [0-9:]+ UTC", text)
        with closing(sqlite3.connect(room.folder / DATABASE)) as forger:
            forger.execute("update log set summary = 'nothing happened' where seq = 6")
            forger.commit()
        shown = (await browser.get("/log")).text
        assert "Entry 6 is wrong: its content was changed" in shown
        assert "follows from the one before" in (await browser.get("/log?after=6")).text


async def test_the_pages_own_files_are_compressed_for_who_takes_it_and_nothing_that_is_secret(
    room: RunningRoom,
) -> None:
    async with visitor(room) as browser:
        for path, file in assets().items():
            small = await browser.http.get(path, headers={"accept-encoding": "gzip, deflate, br"})
            whole = await browser.http.get(path, headers={"accept-encoding": "identity"})
            assert small.headers["content-encoding"] == "gzip"
            assert int(small.headers["content-length"]) < int(whole.headers["content-length"]) == len(file.body)
            assert small.content == whole.content == file.body
            assert "content-encoding" not in whole.headers
            assert small.headers["vary"] == "accept-encoding"
        assert "content-encoding" not in (await browser.http.get("/")).headers


async def test_a_hand_off_is_declined_with_the_form_of_all_arguments(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    await builder("create_task", title="x")
    fence = (await builder("claim_task", task="T-1"))["fence"]
    await builder("hand_off", task="T-1", fence=fence, to="olga", note="please")
    async with visitor(room) as browser:
        form = (await browser.get("/acts")).form("answer_hand_off", "Answer hand off")
        assert (await browser.send(form, offer="O-1", accept="false", reason="not mine")).status == 200
    assert (await builder("read_board", task="T-1"))["task"]["state"] == "claimed"


async def test_a_request_id_of_a_form_is_a_short_text(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        for request_id in ("x" * 201, "a\x00b", "a\nb"):
            answer = await browser.post("/act/post_message", {"text": "x", "request_id": request_id})
            assert answer.status_code == 400
            assert "request-id" in answer.text


async def test_forms_and_addresses_that_make_no_sense_count_as_refused_calls(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", refusals_per_minute=1) as room, visitor(room) as browser:
        for number in range(11):
            await browser.post("/act/post_message", {"text": "x", "kind": f"kind-{number}"})
        assert (await browser.http.get("/")).status_code == 429
    async with running_room(tmp_path / "second", refusals_per_minute=1) as room, visitor(room) as browser:
        for number in range(11):
            await browser.http.get(f"/board?state=wrong-{number}")
        assert (await browser.http.get("/")).status_code == 429


async def test_a_form_that_gives_an_argument_twice_is_refused(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        for fields in ({"changes": "x", "changes.title": "y"}, {"changes.title": "y", "changes": "x"}):
            assert (await browser.post("/act/update_task", {"task": "T-1", **fields})).status_code == 400


async def test_an_address_as_evidence_is_a_link(room: RunningRoom) -> None:
    olga = await room.connect("olga")
    await olga("create_task", title="Write the docs")
    async with visitor(room) as browser:
        page = await browser.send((await browser.get("/tasks/T-1")).form("claim_task"))
        lines = "https://ci.example/1\ntest: all: 3 passed\nlink: https://x.example"
        page = await browser.send(page.form("complete_task"), summary="done", evidence=lines)
        for words in ("link: https://ci.example/1", "test: all: 3 passed", "link: https://x.example"):
            assert words in page.text


async def test_the_stop_of_all_is_on_every_page_also_where_something_was_refused(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        for path in ("/", "/tasks/T-99", "/members/nobody", "/settings", "/overnight?hours=x"):
            assert (await browser.get(path)).form("pause", "Pause all").fields["target"] == "room"


async def test_a_person_is_offered_what_the_role_allows(room: RunningRoom) -> None:
    await room.enroll("hanna", kind="human", role="observer")
    await room.enroll("bot")
    async with visitor(room, "hanna") as browser:
        acts = {form.action for form in (await browser.get("/acts")).forms}
        assert not acts & {"/act/enroll", "/act/revoke", "/act/create_task", "/act/set_policy"}
        forms = {form.action for form in (await browser.get("/members/bot")).forms}
        assert not forms & {"/act/enroll", "/act/revoke"}


async def test_another_persons_act_is_not_shown_as_done(room: RunningRoom) -> None:
    await room.enroll("bot")
    olga = await room.connect("olga")
    other = (await olga("pause", target="bot", reason="x"))["receipt"]
    await room.enroll("hanna", kind="human")
    async with visitor(room, "hanna") as hanna, visitor(room) as own:
        assert "done" not in (await hanna.get(f"/?done={other}")).ids
        assert "done" in (await own.get(f"/?done={other}")).ids
        room.time.forward(601)
        assert "done" not in (await own.get(f"/?done={other}")).ids


async def test_refusals_before_the_page_keep_their_headers_and_their_form(room: RunningRoom) -> None:
    async with visitor(room) as browser:
        assert (await browser.http.request("PUT", "/")).headers["allow"] == "GET, POST"
        headers = {"origin": str(browser.http.base_url).rstrip("/"), "content-type": "application/json"}
        refused = await browser.http.post("/act/pause?as=json", content=b"{}", headers=headers)
        assert refused.json()["code"] == "invalid"
        head = await browser.http.head("/changes")
        assert head.status_code == 200


async def test_a_page_that_is_opened_while_others_follow_waits_for_nobody() -> None:
    shared = Shared()

    async def render() -> bytes:
        return b"x"

    await shared.get(("board",), render, joined=True)
    shared.changed(["board"])
    follower = asyncio.create_task(shared.get(("board",), render, joined=True))
    await anyio.lowlevel.checkpoint()
    async with asyncio.timeout(JOIN_SECONDS / 2):
        await shared.get(("board",), render, joined=False)
    follower.cancel()


async def test_a_member_that_is_found_out_has_a_stop_wherever_the_first_page_names_it(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=Time(offset=-STORY_SECONDS)) as room:
        await play_demo(room, tmp_path / "room")
        async with visitor(room) as browser:
            home = await browser.get("/")
            stops = [form for form in home.forms if form.action == "/act/pause" and form.fields["target"] == "drifter"]
            assert len(stops) == 3, "in what needs its owner, in what is stuck, and on the roster"
            assert re.search(r"drifter is zombie.*noticed by @room", home.text)
            done = await browser.send(stops[1])
            assert "@olga paused @drifter" in done.text
            assert re.search(r"Paused by @olga .*: Paused on the page", done.text)
