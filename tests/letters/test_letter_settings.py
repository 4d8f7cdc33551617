"""What each person chooses for the letters: hours, cap, zone, digest, suspects. It binds the next letter."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teamroom.server.clock import wall_clock
from teamroom.server.facts.channels import applied
from teamroom.server.rules.notices import LetterSettings, quiet_until
from teamroom.server.settings import Settings
from teamroom.server.store.rows.letters import LetterSettingRow
from tests.campaigns.invariants import rows
from tests.support.promises import house, promise
from tests.support.receivers import Receiver, receiver
from tests.support.rooms import Member, RunningRoom, Time, running_room
from tests.support.shells import Shell

pytestmark = house

HOUR, DAY = 3600.0, 86_400.0
NEW_YEAR = 1_798_761_600.0
"""2027-01-01T00:00:00Z"""


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """Olga's."""
    with receiver() as found:
        yield found


@pytest.fixture
def hannas() -> Iterator[Receiver]:
    """Hanna's."""
    with receiver() as found:
        yield found


def at(moment: str) -> Time:
    """A clock that begins at a moment, in UTC."""
    return Time(datetime.fromisoformat(f"{moment}+00:00").timestamp() - wall_clock())


OPEN: dict[str, Any] = {"notify_private": True, "notify_digest": "", "notify_group_seconds": 0}
"""Settings under which people may add the receivers of this machine."""


async def ask(member: Member, *to: str, text: str = "which registry?") -> None:
    await member("post_message", text=text, to=list(to), kind="ask")


async def two_people(room: RunningRoom, *phones: Receiver) -> tuple[Member, Member, Member]:
    """Olga and Hanna, each with a channel that she added, and an agent that asks."""
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    (builder,) = await room.enroll("builder")
    for person, phone in zip((owner, hanna), phones, strict=True):
        await person("notify", add_channel=phone.url)
    return owner, hanna, builder


# ------------------------------------------------------------------ it binds the next letter


@promise("QUI1")
async def test_the_quiet_hours_of_one_person_hold_back_only_her_letters(
    tmp_path: Path, phone: Receiver, hannas: Receiver
) -> None:
    async with running_room(tmp_path / "room", time=at("2026-11-23T21:30:00"), **OPEN) as room:
        owner, hanna, builder = await two_people(room, phone, hannas)
        await owner("notify", quiet="22:00-07:00", zone="Europe/Berlin")
        await ask(builder, "olga", "hanna")
        await room.later(1)
        assert (phone.tries, hannas.tries) == (0, 1), "in Berlin it is 22:30"
        await hanna("notify", quiet="21:00-22:00")
        await ask(builder, "hanna")
        await room.later(1)
        assert hannas.tries == 1
        for _ in range(9):
            await room.later(HOUR)
        assert (phone.tries, hannas.tries) == (1, 2)


async def test_a_change_binds_the_next_letter_without_a_restart(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", time=at("2026-11-23T12:00:00"), **OPEN) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await owner("notify", add_channel=phone.url)
        await owner("notify", quiet="11:00-13:00")
        await ask(builder, "olga")
        await room.later(1)
        assert phone.tries == 0
        changed = await owner("notify", quiet="none")
        assert changed["settings"]["quiet"] == ""
        await room.later(0)
        assert phone.titles == ["[Teamroom] needs you"], "what waited for the end of the hours is looked at again"


async def test_a_letter_on_its_way_waits_if_quiet_hours_begin_and_goes_once_they_are_lifted(
    tmp_path: Path, phone: Receiver
) -> None:
    phone.status = 503
    async with running_room(tmp_path / "room", time=at("2026-11-23T12:00:00"), **OPEN) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await owner("notify", add_channel=phone.url)
        await ask(builder, "olga")
        await room.later(1)
        assert phone.tries == 1
        phone.status = 200
        await owner("notify", quiet="12:00-14:00")
        await room.later(600)
        assert phone.tries == 1
        await owner("notify", quiet="room")
        await room.later(0)
        assert phone.titles == ["[Teamroom] needs you"]


@promise("SAF3")
async def test_each_person_has_a_cap_for_an_hour_that_a_second_channel_does_not_use_up(
    tmp_path: Path, phone: Receiver, hannas: Receiver
) -> None:
    with receiver() as second:
        async with running_room(tmp_path / "room", **OPEN) as room:
            owner, _, builder = await two_people(room, phone, hannas)
            await owner("notify", add_channel=second.url)
            await owner("notify", per_hour=2)
            for number in range(5):
                await ask(builder, "olga", "hanna", text=f"question {number}")
                await room.later(60)
            assert (phone.tries, second.tries, hannas.tries) == (2, 2, 5)
            await owner("notify", per_hour=3)
            await room.later(0)
            assert phone.titles[2:] == ["[Teamroom] needs you (3)"]
            assert (await owner("notify", per_hour=0))["settings"]["per_hour"] == 6, "0 is the room's"


async def test_a_digest_comes_at_the_time_and_in_the_zone_that_its_person_chose(
    tmp_path: Path, phone: Receiver, hannas: Receiver
) -> None:
    async with running_room(tmp_path / "room", time=at("2026-11-23T05:00:00"), **OPEN) as room:
        owner, hanna, builder = await two_people(room, phone, hannas)
        await owner("notify", digest_time="07:30", zone="Europe/Berlin")
        await hanna("notify", digest_time="07:30")
        await room.later(89 * 60)
        assert (phone.tries, hannas.tries) == (0, 0)
        await room.later(2 * 60)
        assert (phone.titles, hannas.tries) == (["[Teamroom] daily digest"], 0)
        await hanna("notify", digest_time="none")
        await room.later(HOUR)
        assert hannas.tries == 0
        await owner("notify", digest_time="09:00")
        await builder("create_task", title="paint")
        await room.later(HOUR)
        assert phone.tries == 2, "the new time is today"


@given(st.sampled_from(sorted(available_timezones())), st.floats(NEW_YEAR, NEW_YEAR + 366 * DAY))
@example("Europe/Berlin", 1_806_195_000.0)
@example("Africa/Casablanca", NEW_YEAR + 60 * DAY)
@example("Antarctica/Troll", 1_806_195_000.0)
def test_quiet_hours_end_in_every_zone_when_its_clock_shows_their_end_or_jumps_over_it(zone: str, now: float) -> None:
    letters = LetterSettings(quiet="22:00-07:00", zone=zone)
    clock = datetime.fromtimestamp(now, ZoneInfo(zone)).strftime("%H:%M")
    ends = quiet_until(now, letters)
    assert (ends is None) == ("07:00" <= clock < "22:00")
    if ends is not None:
        assert now < ends <= now + 13 * HOUR
        assert datetime.fromtimestamp(ends, ZoneInfo(zone)).strftime("%H:%M") >= "07:00"
        assert quiet_until(ends, letters) is None


@given(
    st.sampled_from([None, "", "22:00-07:00"]),
    st.sampled_from([None, 1, 100]),
    st.sampled_from([None, "Asia/Tokyo"]),
    st.sampled_from([None, "", "06:00"]),
    st.booleans(),
)
def test_what_a_person_left_open_is_the_rooms(
    quiet: str | None, per_hour: int | None, zone: str | None, digest: str | None, suspects: bool
) -> None:
    room = Settings(notify_quiet="01:00-02:00", notify_per_hour=7, notify_zone="Europe/Berlin", notify_digest="08:15")
    found = applied(room, LetterSettingRow(quiet, per_hour, zone, digest, int(suspects), 0))
    chosen = (quiet, per_hour, zone, digest)
    theirs = ("01:00-02:00", 7, "Europe/Berlin", "08:15")
    expected = tuple(room if own is None else own for own, room in zip(chosen, theirs, strict=True))
    assert (found.quiet, found.per_hour, found.zone, found.digest_time) == expected
    assert found.suspects == suspects
    assert applied(room, None) == LetterSettings(*theirs, suspects=False)


# ------------------------------------------------------------------ suspects


async def become_suspect(room: RunningRoom, name: str) -> None:
    """Let an agent's listener beat while nobody answers what it is asked."""
    owner = await room.owner()
    (agent,) = await room.enroll(name, mode="live")
    await agent("check_in")
    await ask(owner, name)
    for _ in range(11):
        await agent("heartbeat")
        await room.later(60)
    assert (await owner("who", name=name))["members"][0]["presence"] == "suspect"


@promise("PRS4")
async def test_a_person_who_chose_it_is_told_of_a_suspect_and_nobody_else(
    tmp_path: Path, phone: Receiver, hannas: Receiver
) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner, hanna, _ = await two_people(room, phone, hannas)
        await hanna("notify", suspects=True)
        await become_suspect(room, "slow")
        assert (phone.tries, hannas.tries) == (0, 0), "by default none, and hers are not olga's"
        await owner("notify", suspects=True)
        await become_suspect(room, "silent")
        ((title, body),) = phone.letters
        assert title == "[Teamroom] stuck"
        first, command = body.splitlines()
        assert first.startswith("stuck: @silent is suspect: ")
        assert command == "teamroom roster silent"
        assert hannas.tries == 0
        assert (await owner("check_in"))["wakes"] == [], "it is a letter alone, and no wake"


async def test_letters_about_suspects_keep_to_the_cap_and_the_quiet_hours(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", time=at("2026-11-23T12:00:00"), **OPEN) as room:
        owner = await room.owner()
        await owner("notify", add_channel=phone.url)
        await owner("notify", suspects=True, per_hour=1)
        await become_suspect(room, "one")
        assert phone.tries == 1
        await become_suspect(room, "two")
        assert phone.tries == 1, "the cap counts it"
        await owner("notify", per_hour=0, quiet="12:00-23:00")
        await become_suspect(room, "three")
        assert phone.tries == 1


async def test_a_suspect_that_acts_again_before_the_letter_is_in_none(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **{**OPEN, "notify_group_seconds": 600}) as room:
        owner = await room.owner()
        await owner("notify", add_channel=phone.url)
        await owner("notify", suspects=True)
        await become_suspect(room, "builder")
        assert rows(room.folder, "select count(*) from notice")[0][0] == 1
        builder = await room.connect("builder")
        await builder("create_task", title="paint")
        await room.later(601)
        assert phone.tries == 0


# ------------------------------------------------------------------ who changes what, and what is refused


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"quiet": "25:00-07:00"}, "invalid", "write quiet hours like 22:00-07:00"),
    ({"quiet": "22-7"}, "invalid", "write quiet hours like 22:00-07:00"),
    ({"quiet": "22:00-22:00"}, "invalid", "must not end when they begin"),
    ({"quiet": "22:00-07:00\n23:00"}, "invalid", "write quiet hours like 22:00-07:00"),
    ({"quiet": "x" * 21}, "too_large", "at most 20 characters"),
    ({"per_hour": -1}, "invalid", "must be at least 0"),
    ({"per_hour": 101}, "invalid", "must be at most 100"),
    ({"per_hour": "many"}, "invalid", "must be a whole number"),
    ({"zone": "Mars/Olympus"}, "invalid", "not a time zone that this machine knows"),
    ({"zone": "../../etc/passwd"}, "invalid", "not a time zone that this machine knows"),
    ({"zone": "/etc/localtime"}, "invalid", "not a time zone that this machine knows"),
    ({"zone": "Europe"}, "invalid", "not a time zone that this machine knows"),
    ({"zone": "Europe/Berlin\x00"}, "invalid", "not a time zone that this machine knows"),
    ({"zone": "x" * 65}, "too_large", "at most 64 characters"),
    ({"digest_time": "8"}, "invalid", "write the time of the digest like 08:00"),
    ({"digest_time": "24:00"}, "invalid", "write the time of the digest like 08:00"),
    ({"suspects": "perhaps"}, "invalid", "'yes' or 'no'"),
    ({"remove_channel": 0}, "invalid", "must be at least 1"),
    ({"remove_channel": 7}, "not_found", "has no channel 7"),
    ({"remove_channel": "ntfy://ntfy.sh/topic"}, "invalid", "belongs into add_channel alone"),
    ({"name": "nobody", "quiet": "none"}, "not_found", "no member"),
    ({"name": "builder", "quiet": "none"}, "not_found", "channels reach people"),
    ({"add_channel": "ntfy://" + "x" * 2000}, "too_large", "at most 2000 characters"),
    ({"add_channel": 7}, "invalid", "must be a text"),
    ({"add_channel": ["ntfy://ntfy.sh/topic"]}, "invalid", "must be a text"),
    ({"add_channel": "topic"}, "invalid", "not an Apprise URL"),
    ({"add_channel": "nowhere://key"}, "invalid", "cannot add this kind"),
    ({"add_channel": "syslog://x"}, "invalid", "cannot add this kind"),
    ({"add_channel": "json://a b.example.org"}, "invalid", "white space"),
    ({"add_channel": "json://example.org/\u202ea"}, "invalid", "invisible character"),
    ({"add_channel": "json://[::1"}, "invalid", "not a URL"),
    ({"add_channel": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/passwd"}, "invalid", "a file"),
    ({"add_channel": "mailtos://a:b@example.org?PGPKEY=/etc/passwd"}, "invalid", "names a file of the server"),
    ({"add_channel": "json://127.0.0.1:9/"}, "invalid", "in a private network"),
    ({"add_channel": "json://localhost/"}, "invalid", "in a private network"),
    ({"add_channel": "json://[::ffff:10.0.0.1]/"}, "invalid", "in a private network"),
    ({"add_channel": "json://169.254.169.254/"}, "invalid", "in a private network"),
]


@pytest.mark.parametrize(("given", "code", "why"), BAD, ids=[str(list(given.items())[-1])[:50] for given, _, _ in BAD])
async def test_bad_input_of_every_field_is_refused_and_changes_nothing(
    room: RunningRoom, given: dict[str, Any], code: str, why: str
) -> None:
    owner = await room.owner()
    await room.enroll("builder")
    refused = await owner.refused("notify", **given)
    assert (refused["code"], why in refused["why"]) == (code, True), refused
    assert refused["fix"]
    assert rows(room.folder, "select count(*) from letter_setting")[0][0] == 0
    assert not (room.folder / "channels.json").exists()


async def test_a_person_changes_her_own_letters_and_a_room_owner_those_of_others(
    tmp_path: Path, phone: Receiver, hannas: Receiver
) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner, hanna, builder = await two_people(room, phone, hannas)
        (runner,) = await room.enroll("runner", role="operator")
        (watcher,) = await room.enroll("eva", kind="human", role="observer")
        for member in (hanna, builder, runner, watcher):
            refused = await member.refused("notify", name="olga", quiet="00:00-23:59")
            assert (refused["code"], refused["why"]) == (
                "not_allowed",
                "Only room owners can change the letters of others.",
            )
        for agent in (builder, runner):
            assert (await agent.refused("notify", per_hour=1))["code"] == "not_found", "an agent has no letters"
        assert (await watcher("notify", quiet="22:00-07:00"))["settings"]["own"] == ["quiet"]
        changed = await owner("notify", name="hanna", per_hour=1)
        entry = next(entry for entry in room.entries() if entry["seq"] == changed["receipt"])
        assert (entry["subject"], entry["summary"]) == (
            "@hanna",
            "@olga changed the letters for @hanna: at most 1 an hour",
        )
        (wake,) = (await hanna("check_in"))["wakes"]
        assert wake["reason"] == "control"
        refused = await owner.refused("notify", name="hanna", add_channel=phone.url)
        assert refused["code"] == "not_allowed"
        assert "a secret of that person" in refused["why"]
        await owner("notify", name="hanna", remove_channel=1)
        assert (await hanna.refused("notify", name="hanna"))["why"] == "@hanna has no channel."


async def test_a_paused_person_changes_nothing(tmp_path: Path, phone: Receiver, hannas: Receiver) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner, hanna, _ = await two_people(room, phone, hannas)
        await owner("pause", target="hanna", reason="on holiday")
        assert (await hanna.refused("notify", quiet="none"))["code"] == "paused"
        before = (room.folder / "channels.json").read_text()
        assert (await hanna.refused("notify", add_channel="json://127.0.0.1:9/other"))["code"] == "paused"
        assert (room.folder / "channels.json").read_text() == before


async def test_what_is_chosen_again_leaves_no_receipt_and_an_equal_change_later_counts(room: RunningRoom) -> None:
    owner = await room.owner()
    first = await owner("notify", quiet="22:00-07:00")
    again = await owner("notify", quiet=" 22:00 - 07:00 ")
    assert (again["receipt"], again["note"]) == (None, "nothing changed")
    await owner("notify", quiet="none")
    third = await owner("notify", quiet="22:00-07:00")
    assert third["receipt"] > first["receipt"]
    assert third["settings"]["quiet"] == "22:00-07:00"


@promise("LOG3")
async def test_verify_finds_settings_and_channels_that_were_changed_behind_the_rooms_back(
    tmp_path: Path, phone: Receiver
) -> None:
    async with running_room(tmp_path / "room", **OPEN) as room:
        owner = await room.owner()
        await owner("notify", quiet="22:00-07:00", add_channel=phone.url)
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "room")})
    assert shell.now("verify").code == 0
    for change, found in (
        ("update letter_setting set quiet = '00:00-23:59'", "the letter settings of @olga has quiet 00:00-23:59"),
        ("update channel set mark = 'another'", "channel 1 of @olga has mark another"),
    ):
        with closing(sqlite3.connect(tmp_path / "room" / "room.db")) as database, database:
            database.execute(change)
        done = shell.now("verify")
        assert (done.code, found in done.out + done.err) == (1, True), done
        with closing(sqlite3.connect(tmp_path / "room" / "room.db")) as database, database:
            database.execute("update letter_setting set quiet = '22:00-07:00'")


# ------------------------------------------------------------------ where a letter leads


async def test_each_kind_of_letter_leads_to_the_page_if_the_room_has_an_address(
    tmp_path: Path, phone: Receiver
) -> None:
    page = "https://room.example.org/team"
    settings = {**OPEN, "notify_per_hour": 100, "public_url": page}
    async with running_room(tmp_path / "room", time=at("2026-11-23T05:00:00"), **settings) as room:
        owner = await room.owner()
        (hanna,) = await room.enroll("hanna", kind="human", role="owner")
        (builder,) = await room.enroll("a_b.c")
        await owner("notify", add_channel=phone.url)
        await owner("notify", suspects=True)
        links = []

        async def letter() -> None:
            await room.later(1)
            links.append(phone.letters[-1][1].splitlines()[-1].removeprefix(page))

        await owner("notify", name="olga")
        await letter()
        await ask(builder, "olga")
        await letter()
        await builder("request_decision", question="Deploy?")
        await letter()
        await builder("create_task", title="paint", assign="olga")
        await letter()
        task = await builder("claim_task", task=(await builder("create_task", title="roof", review="olga"))["task"])
        await builder("complete_task", task="T-2", fence=task["fence"], summary="done", evidence=[])
        await letter()
        fence = (await builder("claim_task", task=(await builder("create_task", title="wall"))["task"]))["fence"]
        await builder("hand_off", task="T-3", fence=fence, to="olga", note="too high")
        await letter()
        for target in ("a_b.c", "room"):
            await hanna("pause", target=target, reason="wait")
            await letter()
            await hanna("resume", target=target, reason="go on")
        await become_suspect(room, "silent")
        await letter()
        await owner("notify", digest_time="08:00")
        await room.later(4 * HOUR)
        digests = [body for title, body in phone.letters if title.endswith("daily digest")]
        links.append(digests[0].splitlines()[-1].removeprefix(page))
        assert links == [
            *("/settings", "/messages/M-1", "/decisions/D-1", "/tasks/T-1", "/tasks/T-2", "/tasks/T-3"),
            *("/members/a_b.c", "/", "/members/silent", "/overnight"),
        ]
        assert not [body for _, body in phone.letters if "teamroom " in body], "and no letter has a command"
