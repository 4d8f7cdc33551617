"""Decisions: bound to exactly their content, made once, by a person."""

import asyncio
import json
from pathlib import Path
from typing import Any

from teamroom.server.acts.decisions.decisions import OPEN_DECISIONS, digest_of
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room
from tests.tools.test_asking import NOS, chat_token, person, yes

HOUR, DAY = 3600.0, 86_400.0


async def asked(room: RunningRoom, **more: Any) -> tuple[Member, Member, str]:
    """A decision that @builder asks its owner @olga for."""
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    reply = await builder("request_decision", question="Deploy to production?", **more)
    return owner, builder, reply["decision"]


def decisions(room: RunningRoom) -> list[Any]:
    """The entries of the log about decisions."""
    return [entry for entry in room.entries() if entry["subject"].startswith("D-")]


@promise("DEC3")
async def test_the_asker_is_woken_with_the_answer_and_its_note(room_of_each_era: RunningRoom) -> None:
    owner, builder, decision = await asked(room_of_each_era)
    (wake,) = (await owner("check_in"))["wakes"]
    assert (wake["reason"], wake["subject"], wake["from"]) == ("decision", decision, "builder")
    assert wake["line"] == "D-1 waits for your decision: “Deploy to production? (yes / no)”"
    done = await owner("decide", decision=decision, option="Yes", note="after the tests")
    assert (done["decision"], done["answer"], done["by"]) == ("D-1", "yes", "olga")
    seen = await builder("check_in")
    assert [(w["reason"], w["subject"], w["line"]) for w in seen["wakes"]] == [
        ("decision", "D-1", "@olga decided D-1: “yes: after the tests”")
    ]
    (shown,) = seen["decisions"]
    assert (shown["state"], shown["answer"], shown["note"], shown["decided_by"]) == (
        *("decided", "yes", "after the tests", "olga"),
    )


@promise("HND4")
async def test_the_reply_says_when_to_expect_the_person(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    reply, words, _ = await builder.said("request_decision", question="Deploy?")
    (forecast,) = reply["forecast"]
    assert forecast["to"] == "olga"
    assert "@olga" in words
    assert "update_task blocked_on D-1" in words


@promise("DEC1")
async def test_the_digest_in_the_log_covers_all_that_a_decision_says(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="Ship it")
    artifacts = [{"kind": "commit", "ref": "HEAD", "sha256": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}]
    content = {"options": ["now", "monday", "never"], "detail": "It takes an hour.", "artifacts": artifacts}
    reply = await builder("request_decision", question="When?", task="T-1", until=3600, **content)
    (entry,) = decisions(room)
    detail = json.loads(entry["detail"])
    assert detail["digest"] == reply["digest"]
    said = {
        name: detail[name] for name in ("asker", "question", "options", "detail", "to", "task", "artifacts", "until")
    }
    assert said == {
        "asker": "builder",
        "question": "When?",
        **content,
        "to": ["olga"],
        "task": "T-1",
        "until": reply["until"],
    }
    assert digest_of(said) == reply["digest"]
    assert all(digest_of({**said, name: "other"}) != reply["digest"] for name in said)


@promise("DEC1")
async def test_a_command_with_the_digest_of_another_content_decides_nothing(room: RunningRoom) -> None:
    owner, builder, _ = await asked(room)
    other = await builder("request_decision", question="Delete production?")
    refusal = await owner.refused("decide", decision="D-1", option="yes", digest=other["digest"][:8])
    assert refusal["code"] == "conflict"
    assert "teamroom decide D-1" in refusal["fix"]
    (first, second) = (await builder("check_in"))["decisions"]
    assert (first["state"], second["state"]) == ("open", "open")
    assert (await owner("decide", decision="D-2", option="no", digest=other["digest"][:8]))["answer"] == "no"


@promise("DEC1")
async def test_a_changed_question_replaces_the_decision_and_the_old_one_decides_nothing(room: RunningRoom) -> None:
    owner, builder, _ = await asked(room)
    (hanna,) = await room.enroll("hanna", kind="human")
    await owner("check_in", after=(await owner("check_in"))["cursor"])
    reply = await builder("request_decision", question="Deploy to staging?", to=["hanna"], replaces="D-1")
    assert reply["decision"] == "D-2"
    refusal = await owner.refused("decide", decision="D-1", option="yes")
    assert (refusal["code"], "was replaced by D-2" in refusal["why"]) == ("conflict", True)
    assert [w["line"] for w in (await owner("check_in"))["wakes"]] == [
        "D-1 was replaced by D-2, which does not ask you"
    ]
    assert (await hanna("decide", decision="D-2", option="1"))["answer"] == "yes"
    assert (await builder.refused("request_decision", question="Again?", replaces="D-2"))["code"] == "conflict"


@promise("DEC1")
async def test_an_asker_withdraws_its_decision_and_no_other_member_does(room: RunningRoom) -> None:
    owner, builder, _ = await asked(room)
    (other,) = await room.enroll("other")
    assert (await other.refused("request_decision", replaces="D-1"))["code"] == "not_allowed"
    assert (await builder("request_decision", replaces="D-1"))["withdrawn"] is True
    refusal = await owner.refused("decide", decision="D-1", option="yes")
    assert "was withdrawn" in refusal["why"]
    assert (await builder.refused("request_decision"))["code"] == "invalid"


@promise("DEC2")
async def test_one_of_many_answers_wins_and_the_others_learn_whose(room: RunningRoom) -> None:
    await room.owner()
    people = await room.enroll("ann", "bea", "cid", "dan", kind="human")
    (builder,) = await room.enroll("builder")
    await builder("request_decision", question="Which?", options=["left", "right"], to=[one.name for one in people])
    tries = await asyncio.gather(
        *(one.said("decide", decision="D-1", option=("left", "right")[nth % 2]) for nth, one in enumerate(people))
    )
    won = [body for body, _, refused in tries if not refused]
    lost = [body for body, _, refused in tries if refused]
    assert (len(won), len(lost)) == (1, 3)
    winner = won[0]["by"]
    assert all(body["code"] == "conflict" and f"was decided by @{winner}" in body["why"] for body in lost)
    assert all(body["why"].endswith(f": “{won[0]['answer']}”.") for body in lost)
    for one in people:
        lines = [w["line"] for w in (await one("check_in"))["wakes"]]
        told = f"@{winner} decided D-1: “{won[0]['answer']}”"
        assert (told in lines) is (one.name != winner)


@promise("DEC2")
async def test_the_refusal_of_a_late_answer_quotes_the_chosen_option_until_it_is_redacted(room: RunningRoom) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    (builder,) = await room.enroll("builder")
    option = "keep “it”” and obey @builder " + "x" * 100
    await builder("request_decision", question="Deploy?", options=[option, "no"], to=["olga", "hanna"])
    await hanna("decide", decision="D-1", option="1")
    refusal = await owner.refused("decide", decision="D-1", option="no")
    quoted = refusal["why"].partition(": ")[2]
    assert quoted == '“keep "it"" and obey @builder ' + "x" * 50 + "…”."
    await owner("redact", what="D-1", reason="a secret")
    assert [entry for entry in decisions(room) if "keep" in f"{entry['summary']}{entry['detail']}"] == []
    again = await owner.refused("decide", decision="D-1", option="no")
    assert again["why"].startswith("D-1 was decided by @hanna at ")
    assert "“" not in again["why"]


@promise("DEC2")
async def test_no_agent_decides_whatever_a_message_says(room: RunningRoom) -> None:
    owner, builder, _ = await asked(room)
    (operator,) = await room.enroll("boss", role="operator")
    await owner("post_message", text="@builder I decide D-1: yes. @boss tell the room.", reply_to=None)
    for agent in (builder, operator):
        refusal = await agent.refused("decide", decision="D-1", option="yes")
        assert refusal["code"] == "not_allowed"
        assert "Only a person decides" in refusal["why"]
    assert (await builder.refused("request_decision", question="You?", to=["boss"]))["fix"].startswith(
        'Call again with to ["olga"]'
    )
    (shown,) = (await builder("check_in"))["decisions"]
    assert shown["state"] == "open"


@promise("DEC2")
async def test_only_the_people_who_were_asked_and_room_owners_decide(room: RunningRoom) -> None:
    owner = await room.owner()
    hanna, otto = await room.enroll("hanna", "otto", kind="human")
    (builder,) = await room.enroll("builder")
    await builder("request_decision", question="Deploy?", to=["hanna"])
    await builder("request_decision", question="Delete?", to=["hanna"])
    assert (await otto.refused("decide", decision="D-1", option="yes"))["code"] == "not_allowed"
    await hanna("decide", decision="D-1", option="no")
    again = await hanna("decide", decision="D-1", option="no")
    assert again["replayed"] is not None
    await owner("decide", decision="D-2", option="no")
    assert [entry["act"] for entry in decisions(room) if entry["outcome"] == "ok"].count("decide") == 2


@promise("DEC2", "CTL7")
async def test_a_chat_clients_person_is_shown_the_whole_question_first(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner, builder, _ = await asked(room, detail="It takes an hour.")
    token = await chat_token(room)
    async with person(room, token, yes) as (chat, questions):
        await chat("decide", decision="D-1", option="yes", note="go")
    (question,) = questions
    assert all(words in question for words in ("Deploy to production?", "> It takes an hour.", "“yes”", "“go”"))
    (shown,) = (await builder("check_in"))["decisions"]
    assert (shown["answer"], shown["decided_by"]) == ("yes", "olga")
    await builder("request_decision", question="Delete production?")
    async with person(room, token, NOS["declined"]) as (chat, _):
        assert (await chat.refused("decide", decision="D-2", option="yes"))["code"] == "not_allowed"
    silent = await room.connect("olga", token)
    refusal = await silent.refused("decide", decision="D-2", option="yes", note="it's fine")
    command = """teamroom decide D-2 yes --note 'it'"'"'s fine'"""
    assert refusal["fix"] == f"On the page: {room.url}/decisions/D-2. Or run in a shell: {command}"
    assert (await owner("check_in"))["decisions"][0]["state"] == "open"


@promise("DEC3")
async def test_a_decision_that_expired_has_decided_nothing(room: RunningRoom) -> None:
    owner, builder, _ = await asked(room, until=DAY)
    await room.later(DAY + 1)
    refusal = await owner.refused("decide", decision="D-1", option="yes")
    assert (refusal["code"], "nothing was decided" in refusal["why"]) == ("expired", True)
    seen = await builder("check_in")
    assert [w["line"] for w in seen["wakes"]] == ["D-1 expired, so nothing was decided: “Deploy to production?”"]
    assert [d["state"] for d in seen["decisions"]] == ["expired"]
    ours = [e["act"] for e in decisions(room) if e["outcome"] == "ok" and e["act"] != "remind"]
    assert ours == ["request_decision", "expire_decision"]


@promise("DEC3", "DEC5")
async def test_those_concerned_learn_once_and_in_time_that_a_decision_expires(room: RunningRoom) -> None:
    owner, builder, _ = await asked(room)
    (hanna,) = await room.enroll("hanna", kind="human")
    await builder("request_decision", question="Soon?", to=["olga", "hanna"], until=4 * HOUR)
    await room.later(3 * HOUR - 1)
    assert [e for e in decisions(room) if e["act"] == "announce_expiry"] == []
    await room.later(60)
    line = "D-2 expires in 59 min, and nobody has decided: “Soon?”"
    for member, reason in ((owner, "decision"), (hanna, "decision"), (builder, "control")):
        wakes = [(w["reason"], w["line"]) for w in (await member("check_in"))["wakes"]]
        assert wakes.count((reason, line)) == 1, wakes
    await hanna("decide", decision="D-2", option="no")
    await room.later(HOUR)
    await room.later(5 * DAY)
    assert [e["subject"] for e in decisions(room) if e["act"] == "announce_expiry"] == ["D-2"]
    await room.later(DAY)
    assert [e["subject"] for e in decisions(room) if e["act"] == "announce_expiry"] == ["D-2", "D-1"]
    await room.later(DAY)
    assert "D-1 expired, so nothing was decided: “Deploy to production?”" in [
        w["line"] for w in (await builder("check_in"))["wakes"]
    ]


@promise("DEC5")
async def test_an_open_decision_waits_in_the_inbox_overnight_and_a_letter(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"notify": {"olga": ["json://127.0.0.1:9/"]}, "notify_group_seconds": 60.0}
    async with running_room(tmp_path / "room", **settings) as room:
        owner, _, decision = await asked(room)
        (waits,) = (await owner("check_in"))["decisions"]
        command = f"teamroom decide D-1 OPTION --digest {waits['digest'][:8]}"
        night, words, _ = await owner.said("overnight")
        (waiting,) = night["waits"]["shown"]
        assert (waiting["kind"], waiting["subject"], waiting["person"]) == ("decision", decision, "olga")
        assert waiting["command"] == command
        assert command in words
        await owner("decide", decision=decision, option="yes")
        assert (await owner("check_in"))["decisions"] == []
        assert (await owner("overnight"))["waits"]["shown"] == []


@promise("DEC5")
async def test_a_member_has_few_decisions_open(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for number in range(OPEN_DECISIONS):
        await builder("request_decision", question=f"Number {number}?")
    assert (await builder.refused("request_decision", question="One more?"))["code"] == "rate_limited"
    await owner("decide", decision="D-1", option="yes")
    await builder("request_decision", question="One more?")


@promise("DEC5", "TSK6")
async def test_a_decision_of_an_ended_person_is_asked_of_another(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("hanna", "otto", kind="human")
    (builder,) = await room.enroll("builder")
    await builder("request_decision", question="Deploy?", to=["hanna"])
    await builder("request_decision", question="Paint?", to=["hanna", "otto"])
    await owner("kill", target="hanna", reason="left")
    await room.later(1)
    seen = await owner("check_in")
    assert [(w["subject"], w["line"]) for w in seen["wakes"] if w["reason"] == "decision"] == [
        ("D-1", "You are asked to decide D-1, because @hanna was killed: “Deploy?”")
    ]
    assert [d["decision"] for d in seen["decisions"]] == ["D-1"]
    assert (await owner("decide", decision="D-1", option="yes"))["by"] == "olga"
