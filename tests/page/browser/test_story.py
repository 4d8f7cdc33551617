"""What a person does in a room with the page alone: at a desk, on a phone, with the keyboard, and without script."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browsers import DESK, PHONE, Keyboard, Mouse, Person, call, person
from tests.support.promises import house
from tests.support.raw import refusal
from tests.support.room_in_thread import RoomInThread

pytestmark = house

WITHIN_MILLISECONDS = 1000
"""How soon a change is seen by everybody who looks."""

EVIDENCE = [{"kind": "test", "ref": "212 passed"}]

CHOICE, NOTES, DOCS = "T-1", "T-2", "T-3"


def begin(room: RoomInThread) -> None:
    """Three agents at work, who need a decision, an answer and a review."""
    room.enroll("builder", "checker", "drifter")
    for name in ("builder", "checker", "drifter"):
        call(room, name, "check_in")
    call(room, "olga", "create_task", title="Choose a queue", review="olga")
    call(room, "olga", "create_task", title="Write the notes", review="olga")
    call(room, "builder", "claim_task", task=CHOICE)
    call(room, "builder", "request_decision", question="Which queue?", options=["redis", "kafka"], task=CHOICE)
    call(room, "builder", "post_message", text="@olga which port does staging use?", kind="ask")
    call(room, "checker", "claim_task", task=NOTES)
    complete(room)


def complete(room: RoomInThread) -> None:
    """@checker says that the notes are done."""
    call(room, "checker", "complete_task", task=NOTES, fence=1, summary="All of them", evidence=EVIDENCE)


def refused(room: RoomInThread, name: str) -> str:
    """The code with which an act of a member is refused."""
    with room.modern(name) as member:
        return str(refusal(member.call("post_message", {"text": "x"}))["code"])


@dataclass
class Story:
    """One person's day, told with one pair of hands."""

    room: RoomInThread
    olga: Person
    hands: Mouse
    done: list[str] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.olga.page

    def tell(self) -> None:
        for scene in (
            self.decide,
            self.answer,
            self.review,
            self.post_and_add,
            self.pause_one,
            self.pause_all,
            self.kill,
            self.enrol,
            self.change_the_policy,
            self.sign_out,
        ):
            scene()

    def button(self, within: Locator | Page, name: str) -> Locator:
        """A button by what it shows, whatever it says about itself to those who hear it."""
        return within.get_by_role("button", name=re.compile(rf"^{name}( \S+)*$"))

    def visit(self, path: str) -> Page:
        """Go somewhere: by address, or with the keys."""
        if isinstance(self.hands, Keyboard):
            self.hands.visit(path)
            return self.page
        return self.olga.go(path)

    def count(self, expected: int) -> None:
        expect(self.page.locator("#needs-count")).to_have_text(str(expected))

    def decide(self) -> None:
        self.count(3)
        need = self.page.locator("#need-D-1")
        expect(need).to_contain_text("Which queue?")
        self.hands.press(self.button(need, "kafka"))
        expect(self.page.locator("#done")).to_contain_text("D-1")
        self.count(2)
        assert call(self.room, "builder", "check_in")["decisions"][0]["answer"] == "kafka"

    def answer(self) -> None:
        need = self.page.locator("#need-M-1")
        self.hands.press(need.locator("summary"))
        self.hands.write(need.get_by_label("Text"), "Staging uses 8080.")
        self.hands.press(self.button(need, "Reply"))
        self.count(1)
        assert any("8080" in wake["line"] for wake in call(self.room, "builder", "check_in")["wakes"])

    def review(self) -> None:
        need = self.page.locator(f"#need-{NOTES}")
        self.hands.press(need.locator("summary"))
        self.hands.write(need.locator("form", has_text="Send back").get_by_label("Note"), "The dates are missing.")
        self.hands.press(self.button(need, "Send back"))
        self.count(0)
        complete(self.room)
        page = self.visit(f"/tasks/{NOTES}")
        expect(page.get_by_text("212 passed")).to_be_visible()
        accept = page.locator("form", has=self.button(page, "Accept"))
        self.hands.write(accept.get_by_label("Note"), "All dates are there.")
        self.hands.press(self.button(accept, "Accept"))
        expect(page.locator(".state").first).to_have_text("done")

    def post_and_add(self) -> None:
        page = self.visit("/")
        post = page.locator("details", has_text="Post a message")
        self.hands.press(post.locator("summary"))
        self.hands.write(post.get_by_label("Text"), "The release is on Friday.")
        self.hands.press(self.button(post, "Post"))
        expect(page.locator("#part-stream")).to_contain_text("The release is on Friday.")
        add = page.locator("details", has_text="Add a task")
        self.hands.press(add.locator("summary"))
        self.hands.write(add.get_by_label("Title"), "Announce the release")
        self.hands.press(self.button(add, "Add"))
        expect(page.locator(f"#row-{DOCS}")).to_contain_text("Announce the release")

    def pause_one(self) -> None:
        stop = self.button(self.page.locator("#member-builder"), "Stop builder")
        self.hands.press(stop)
        answer = self.page.locator(".answer, .done", has_text=re.compile("builder is paused|paused @builder"))
        expect(answer).to_contain_text(re.compile(r"receipt \d+"))
        expect(answer).to_contain_text("Does not reach its own tools (its harness never asked")
        expect(self.page.locator("#member-builder")).to_contain_text("Paused by @olga")
        assert refused(self.room, "builder") == "paused"
        self.hands.press(answer.get_by_role("button", name="Undo"))
        expect(self.page.locator("#member-builder .state")).not_to_have_text("paused")
        call(self.room, "builder", "post_message", text="I go on.")

    def pause_all(self) -> None:
        self.hands.press(self.button(self.page, "Pause all"))
        expect(self.page.locator("#part-roster .banner")).to_contain_text("The whole room is paused by @olga")
        assert refused(self.room, "checker") == "paused"
        self.hands.press(self.button(self.page, "Resume all"))
        expect(self.page.locator("#part-roster .banner")).to_have_count(0)
        call(self.room, "checker", "post_message", text="I go on too.")

    def kill(self) -> None:
        page = self.visit("/members/drifter")
        kill = page.locator("details", has_text="Kill for good")
        self.hands.press(kill.locator("summary"))
        self.hands.write(kill.get_by_label("Reason"), "It brings nothing.")
        self.hands.write(kill.get_by_label("Type drifter to confirm"), "drift")
        self.hands.press(self.button(kill, "Kill drifter"))
        expect(page.get_by_text("Nothing was done")).to_be_visible()
        self.olga.forgive("status of 403")
        call(self.room, "drifter", "heartbeat")
        page = self.visit("/members/drifter")
        self.hands.press(kill.locator("summary"))
        self.hands.write(kill.get_by_label("Reason"), "It brings nothing.")
        self.hands.write(kill.get_by_label("Type drifter to confirm"), "drifter")
        self.hands.press(self.button(kill, "Kill drifter"))
        expect(page.locator(".state").first).to_have_text("killed")
        assert refused(self.room, "drifter") == "killed"

    def enrol(self) -> None:
        page = self.visit("/enrol")
        self.hands.write(page.get_by_label("Name needed"), "scribe")
        self.hands.press(self.button(page, "Enrol"))
        token = page.locator("#token").inner_text()
        assert call_with(self.room, token, "check_in")["standing"] == "active"
        if self.olga.has_script:
            self.hands.press(page.locator("[data-copy=token]"))
            expect(page.locator("[data-copy=token]")).to_have_text("Copied")
            assert page.evaluate("navigator.clipboard.readText()") == token
        else:
            expect(page.locator("[data-copy=token]")).to_be_hidden()

    def change_the_policy(self) -> None:
        page = self.visit("/settings")
        value = page.locator(".policy", has_text="wip_cap")
        self.hands.press(value.locator("summary"))
        self.hands.write(value.get_by_label("Value"), "7")
        self.hands.press(self.button(value, "Set"))
        expect(page.locator(".policy", has_text="wip_cap")).to_contain_text("wip_cap 7")

    def sign_out(self) -> None:
        page = self.visit("/settings")
        self.hands.press(self.button(page, "Sign out of this browser"))
        page.wait_for_url("**/sign-in*")
        self.olga.go("/")
        expect(page.get_by_role("heading")).to_have_text("Sign in")


def call_with(room: RoomInThread, token: str, tool: str) -> dict[str, Any]:
    """Call a tool with a token that was read off the page."""
    room.running.tokens["scribe"] = token
    return call(room, "scribe", tool)


TOLD = [
    "sign_in",  # the link was made
    "sign_in",  # the link was opened
    "decide",
    "post_message",
    "review_task",
    "review_task",
    "post_message",
    "create_task",
    "pause",
    "resume",
    "pause",
    "resume",
    "kill",
    "enroll",
    "set_policy",
    "sign_out",
]
"""What the story leaves in the log, in this order."""


@pytest.mark.parametrize(
    ("size", "hands", "script"),
    [
        pytest.param(DESK, Mouse, True, id="at a desk"),
        pytest.param(PHONE, Mouse, True, id="on a phone"),
        pytest.param(DESK, Keyboard, True, id="with the keyboard"),
        pytest.param(PHONE, Mouse, False, id="without script"),
    ],
)
def test_a_person_runs_a_room_with_the_page_alone(
    browser: Browser, threaded: RoomInThread, size: tuple[int, int], hands: Callable[[Page], Mouse], script: bool
) -> None:
    begin(threaded)
    before = len(threaded.running.entries())
    with person(browser, threaded, size=size, script=script, permissions=["clipboard-read", "clipboard-write"]) as olga:
        Story(threaded, olga, hands(olga.page)).tell()
    entries = threaded.running.entries()[before:]
    owner = next(one["actor"] for one in entries if one["act"] == "sign_in")
    acts = [one["act"] for one in entries if one["actor"] == owner and one["outcome"] == "ok"]
    assert [act for act in acts if act in TOLD] == TOLD
