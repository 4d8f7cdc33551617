"""Every key that the page names does what it says, and none does anything while a person types."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.browser.test_story import begin, refused
from tests.support.browsers import Person, call, person
from tests.support.promises import house
from tests.support.room_in_thread import RoomInThread

pytestmark = house

PLACES = {
    "h": ("/", "The room"),
    "b": ("/board", "Board"),
    "m": ("/members", "Members"),
    "d": ("/decisions", "Decisions"),
    "o": ("/overnight", "Overnight"),
    "l": ("/log", "Log"),
    "a": ("/acts", "Everything you can do"),
    "e": ("/enrol", "Enrol"),
    "s": ("/settings", "Settings"),
}

TRIED = [
    "j k",
    "Enter",
    "1 … 9",
    "r",
    "p",
    "P",
    "u",
    "n",
    "m",
    "a",
    "/",
    *(f"g {key}" for key in PLACES),
    "?",
    "Escape",
]
"""The keys that are tried here or in `test_live_pages`. The help names these and no other."""


def focused(page: Page) -> str:
    """The name or the words of what has the focus."""
    return str(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))


def select(page: Page, row: str) -> None:
    """Press j until a row is selected."""
    for _ in range(20):
        page.keyboard.press("j")
        if page.locator(f"#{row}").get_attribute("aria-current"):
            return
    raise AssertionError(f"j does not reach {row}")


def test_the_help_names_every_key(browser: Browser, threaded: RoomInThread) -> None:
    with person(browser, threaded) as olga:
        olga.page.keyboard.press("?")
        expect(olga.page.get_by_role("dialog", name="Keys")).to_be_visible()
        assert olga.page.locator("#help dt").all_inner_texts() == TRIED
        olga.page.keyboard.press("Escape")
        expect(olga.page.get_by_role("dialog", name="Keys")).to_be_hidden()
        olga.page.get_by_role("button", name="Keys: ?").click()
        expect(olga.page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_g_and_a_letter_go_to_a_page(browser: Browser, threaded: RoomInThread) -> None:
    with person(browser, threaded) as olga:
        for key, (path, title) in PLACES.items():
            with olga.page.expect_navigation(wait_until="domcontentloaded"):
                olga.page.keyboard.press("g")
                olga.page.keyboard.press(key)
            assert olga.page.url == f"{olga.url}{path}"
            expect(olga.page.locator("h1")).to_have_text(title)


def test_a_person_decides_answers_stops_and_adds_with_keys(browser: Browser, threaded: RoomInThread) -> None:
    begin(threaded)
    with person(browser, threaded) as olga:
        page, press = olga.page, olga.page.keyboard.press
        select(page, "need-D-1")
        press("2")
        assert focused(page) == "kafka for D-1"
        press("1")
        assert focused(page) == "redis for D-1"
        press("Enter")
        expect(page.locator("#needs-count")).to_have_text("2")
        select(page, "need-M-1")
        press("r")
        assert focused(page) == "text"
        page.keyboard.type("Staging uses 8080.")
        press("Escape")
        press("k")
        assert page.locator("#need-M-1 textarea").input_value() == "Staging uses 8080.", "it waits to be sent"
        select(page, "member-builder")
        press("p")
        answer = page.locator(".answer")
        expect(answer).to_contain_text("builder is paused")
        assert answer.evaluate("(one) => one === document.activeElement"), "a screen reader reads it"
        assert refused(threaded, "builder") == "paused"
        press("u")
        expect(answer).to_contain_text("builder")
        expect(page.locator("#member-builder")).not_to_contain_text("Paused by")
        press("P")
        expect(page.locator("#part-roster .banner")).to_contain_text("The whole room is paused")
        press("u")
        expect(page.locator("#part-roster .banner")).to_have_count(0)
        press("m")
        assert focused(page) == "text"
        press("Escape")
        press("a")
        assert focused(page) == "title"
        press("Escape")
        press("/")
        assert focused(page) == "query"
        page.keyboard.type("queue")
        press("Enter")
        page.wait_for_url(re.compile(r"\?query=queue"))
        select(page, "row-T-1")
        press("Enter")
        page.wait_for_url("**/tasks/T-1")


TYPED = "jkgbPpunmar/?12"


@pytest.mark.parametrize("field", ["post-text", "board-query", "board-state"])
def test_no_key_does_anything_while_a_person_types(browser: Browser, threaded: RoomInThread, field: str) -> None:
    begin(threaded)
    with person(browser, threaded) as olga:
        page = olga.page
        page.locator("details", has_text="Post a message").locator("summary").click()
        page.locator(f"#{field}").focus()
        before = len(threaded.running.entries())
        url = page.url
        page.keyboard.type(TYPED)
        assert untouched(olga, url)
        assert page.locator(f"#{field}").evaluate("(one) => one === document.activeElement")
        if field != "board-state":
            assert page.locator(f"#{field}").input_value() == TYPED
        assert len(threaded.running.entries()) == before
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.locator("#help")).to_be_visible()


def untouched(olga: Person, url: str) -> bool:
    """Whether no key did anything."""
    page = olga.page
    is_still = page.url == url and page.locator(".answer").count() == 0 and page.locator("[aria-current]").count() == 0
    return is_still and page.locator("#help").is_hidden()


@pytest.mark.parametrize("where", ["help", "settings"])
def test_single_keys_can_be_switched_off_in_a_browser(browser: Browser, threaded: RoomInThread, where: str) -> None:
    begin(threaded)
    with person(browser, threaded) as olga:
        page, other = olga.page, olga.another_tab()
        if where == "settings":
            switch = olga.go("/settings").locator("main [data-keys]")
        else:
            page.keyboard.press("?")
            switch = page.locator("#help [data-keys]")
        expect(switch).to_have_text("Switch single keys off in this browser")
        switch.click()
        page.keyboard.press("Escape")
        for window in (page, other, olga.another_tab()):
            url, before = window.url, len(threaded.running.entries())
            window.keyboard.type(TYPED)
            assert window.url == url
            assert window.locator(".answer, [aria-current=true]").count() == 0
            expect(window.locator("#help")).to_be_hidden()
            assert len(threaded.running.entries()) == before
        page.get_by_role("button", name="Keys: ?").click()
        page.locator("#help [data-keys]", has_text="Switch single keys on").click()
        page.keyboard.press("Escape")
        other.keyboard.press("?")
        expect(other.get_by_role("dialog", name="Keys")).to_be_visible()
        expect(other.locator("#help [data-keys]")).to_have_text("Switch single keys off in this browser")


def test_the_switch_of_the_keys_stays_while_the_settings_change(browser: Browser, threaded: RoomInThread) -> None:
    begin(threaded)
    with person(browser, threaded) as olga:
        switch = olga.go("/settings").locator("main [data-keys]")
        switch.click()
        olga.page.keyboard.press("Escape")
        call(threaded, "olga", "set_policy", name="wip_cap", value=7)
        expect(olga.page.locator("main")).to_contain_text("wip_cap 7")
        expect(switch).to_have_text("Switch single keys on in this browser")


def test_a_shortcut_of_the_browser_stays_the_browsers(browser: Browser, threaded: RoomInThread) -> None:
    begin(threaded)
    with person(browser, threaded) as olga:
        for modifier in ("Control", "Meta", "Alt"):
            olga.page.keyboard.press(f"{modifier}+j")
        assert olga.page.locator("[aria-current]").count() == 0
        call(threaded, "builder", "heartbeat")
