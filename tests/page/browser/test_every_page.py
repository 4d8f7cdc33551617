"""Every page in a browser: as wide as the screen, without a fault, and readable for everybody."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Error, expect

from teamroom.resources.page.views import VIEWS
from tests.support.browsers import (
    AXE,
    AXE_SHA256,
    DESK,
    PHONE,
    call,
    person,
    serious_findings,
    sideways_pixels,
)
from tests.support.promises import house
from tests.support.room_in_thread import RoomInThread, room_in_thread

pytestmark = house

LONG = "an_unbroken_name_of_a_branch_" * 6
RIGHT_TO_LEFT = "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 (1) <b>x</b>"


@dataclass
class Full:
    """A room with something of each kind in it, and a person who is signed in."""

    room: RoomInThread
    session: Any
    paths: dict[str, str]


def fill(room: RoomInThread) -> dict[str, str]:
    """Put something of each kind into a room; returns the path of each view."""
    room.enroll("builder", "checker", "scribe")
    call(room, "builder", "check_in")
    call(room, "builder", "declare_capabilities", capabilities=["tool:docker", LONG[:60]])
    task = call(room, "olga", "create_task", title=f"Build {LONG}", detail=f"All of it\n{RIGHT_TO_LEFT}")["task"]
    claimed = call(room, "builder", "claim_task", task=task)
    call(room, "builder", "update_task", task=task, fence=claimed["fence"], note=LONG)
    decision = call(
        room, "builder", "request_decision", question=f"{RIGHT_TO_LEFT} {LONG}?", options=["yes", LONG[:100]], task=task
    )
    asked = call(room, "builder", "post_message", text=f"@olga which port?\n{LONG}\n{RIGHT_TO_LEFT}", kind="ask")
    review = call(room, "olga", "create_task", title="Write the notes", review="olga")["task"]
    held = call(room, "checker", "claim_task", task=review)
    evidence = [{"kind": "test", "ref": LONG[:100]}]
    call(room, "checker", "complete_task", task=review, fence=held["fence"], summary=LONG, evidence=evidence)
    offered = call(room, "olga", "create_task", title="Rotate the keys")["task"]
    given = call(room, "scribe", "claim_task", task=offered)
    call(room, "scribe", "hand_off", task=offered, fence=given["fence"], to="olga", note=RIGHT_TO_LEFT)
    call(room, "olga", "authorize", to="builder", scope="deploy:staging", uses=2)
    call(room, "olga", "pause", target="checker", reason=LONG, for_seconds=600)
    return {
        "task": f"/tasks/{review}",
        "member": "/members/builder",
        "thread": f"/messages/{asked['message']}",
        "decision": f"/decisions/{decision['decision']}",
        "home": "/",
        "refused": "/tasks/T-99",
        "sign-in": "/sign-in",
    }


@pytest.fixture(scope="module")
def full(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    with room_in_thread(tmp_path_factory.mktemp("full") / "room") as room:
        paths = fill(room)
        with person(browser, room) as olga:
            yield Full(room, olga.context.storage_state(), paths)


@pytest.mark.parametrize("view", [*(view.name for view in VIEWS), "refused", "sign-in"])
def test_a_page_fits_its_screen_has_no_fault_and_is_readable_in_light_and_dark(
    browser: Browser, full: Full, view: str
) -> None:
    with person(browser, full.room, None, storage_state=full.session) as olga:
        page = olga.go(full.paths.get(view, f"/{view}"))
        assert page.locator("h1").count() == 1
        for width, height in (DESK, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            assert sideways_pixels(page) == 0, f"at {width} px"
        assert not (found := serious_findings(page)), "\n".join(found)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert sideways_pixels(page) == 0, "with every form open"
        assert not (found := serious_findings(page)), "\n".join(found)
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        page.emulate_media(color_scheme="dark")
        assert not (found := serious_findings(page, "color-contrast")), "\n".join(found)
        if view == "refused":
            olga.forgive("status of 404")


def test_what_is_shown_once_the_keys_and_an_answer_are_readable_too(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session, size=PHONE) as olga:
        page = olga.go("/enrol")
        page.get_by_label("Name needed").fill("newcomer")
        page.get_by_role("button", name="Enrol").click()
        page.get_by_role("heading", name="The token, shown only now").wait_for()
        assert sideways_pixels(page) == 0
        assert not (found := serious_findings(page)), "\n".join(found)
        page.keyboard.press("?")
        assert not (found := serious_findings(page)), "\n".join(found)
        olga.go("/")
        page.get_by_role("button", name="Stop scribe").click()
        page.get_by_role("button", name="Undo").wait_for()
        assert sideways_pixels(page) == 0
        assert not (found := serious_findings(page)), "\n".join(found)
        page.get_by_role("button", name="Undo").click()


def test_no_two_buttons_that_the_script_makes_have_one_name(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session) as olga:
        page = olga.go("/")
        for name in ("scribe", "builder"):
            page.get_by_role("button", name=f"Stop {name}").click()
            page.get_by_role("button", name=f"Undo (u) the stop of {name}", exact=True).wait_for()
            page.get_by_role("button", name=f"Close what was said of {name}", exact=True).wait_for()
        for part in ("stream", "board"):
            page.locator(f"#part-{part} a").first.select_text()
            call(full.room, "olga", "create_task", title=f"While the {part} is read")
            held = page.locator(f"#part-{part} > .held")
            expect(held).to_have_accessible_name(f"Show what is new (n) {part.capitalize()}")
        for name in ("scribe", "builder"):
            page.get_by_role("button", name=f"Undo (u) the stop of {name}").click()
            page.get_by_text(f"resumed {name}").or_(page.get_by_text(f"{name} is active")).first.wait_for()


NOTHING_LEAVES_ITS_COLUMN = """
(part) => [...part.querySelectorAll("*")].every((one) =>
  one.closest(".hidden") || one.getBoundingClientRect().right <= part.getBoundingClientRect().right + 1)
"""


@pytest.mark.parametrize("width", [360, 390, 640, 900, 1000, 1100, 1250, 1440, 1920])
def test_no_column_reaches_into_the_next_one(browser: Browser, full: Full, width: int) -> None:
    with person(browser, full.room, None, storage_state=full.session, size=(width, 800)) as olga:
        page = olga.go("/")
        assert sideways_pixels(page) == 0
        for part in page.locator("[data-part]").all():
            assert part.evaluate(NOTHING_LEAVES_ITS_COLUMN), part.get_attribute("id")


def test_times_are_in_the_zone_of_the_reader_with_the_exact_one_on_hover(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session, timezone_id="Asia/Kolkata") as olga:
        time = olga.go("/").locator("#part-stream time").first
        assert re.fullmatch(r"now|\d+ (sec|min)s?\.? ago", time.inner_text()), time.inner_text()
        at = datetime.fromisoformat(time.get_attribute("datetime") or "").astimezone(ZoneInfo("Asia/Kolkata"))
        assert time.get_attribute("title") == f"{at.day} {at:%b %Y, %H:%M:%S} GMT+5:30"


def test_without_script_times_say_that_they_are_utc(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session, script=False) as olga:
        assert olga.go("/").locator("#part-stream time").first.inner_text().endswith("UTC")


def test_only_the_counter_is_a_live_region(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session) as olga:
        page = olga.go("/")
        page.get_by_role("button", name="Stop scribe").click()
        page.get_by_role("button", name="Undo").click()
        regions = page.locator("[aria-live], [role=status], [role=alert], [role=log], output")
        assert regions.evaluate_all("(all) => all.map((one) => one.id)") == ["needs-count"]


def test_a_text_from_right_to_left_stays_in_its_own_box(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session) as olga:
        page = olga.go(full.paths["decision"])
        said = page.locator("h1 .said")
        assert said.inner_text().startswith(RIGHT_TO_LEFT), "it is shown as it was written"
        assert said.evaluate("(one) => getComputedStyle(one).unicodeBidi") == "isolate"
        number = page.locator("h1 .id").bounding_box()
        box = said.bounding_box()
        assert number is not None
        assert box is not None
        assert number["x"] <= box["x"], "the number of the decision still stands before it"


def test_the_browsers_policy_is_in_force(browser: Browser, full: Full) -> None:
    with person(browser, full.room, None, storage_state=full.session) as olga:
        page = olga.go("/")
        with page.expect_console_message(lambda message: "policy violation" in message.text):
            page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://x.invalid/y'}))")
        with pytest.raises(Error, match="TrustedHTML"):
            page.evaluate("document.body.innerHTML = '<b>x</b>'")
        assert any("policy violation: img-src" in fault for fault in olga.faults), "violations are seen"
        olga.faults.clear()


def test_axe_is_the_one_that_was_chosen(browser: Browser, full: Full) -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256
    with person(browser, full.room, None, storage_state=full.session) as olga:
        page = olga.go("/")
        page.evaluate("document.querySelector('.bar button.stop').replaceChildren()")
        assert any("button-name" in one for one in serious_findings(page)), "a nameless button is found"
