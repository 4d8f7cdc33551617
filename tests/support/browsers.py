"""People in a real browser: Debian's headless Chromium, driven by Playwright.

`python -m tests.support.browsers` says which browser the tests use, or that there is none.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, sync_playwright

from tests.support.bounds import BOUND_SECONDS
from tests.support.raw import reply
from tests.support.room_in_thread import RoomInThread

PROGRAMS = ("/usr/bin/chromium-headless-shell", "chromium-headless-shell", "chromium", "chromium-browser")
"""Where the browser is: Debian's path first, then whatever PATH has."""

NO_BROWSER = (
    "No browser was found, so no test opens the page in one. On Debian: apt-get install chromium-headless-shell"
)

VERSION_SECONDS = 20

DESK, PHONE = (1440, 900), (390, 844)

AXE = Path(__file__).parent / "axe" / "axe.min.js"
"""axe-core 4.14.1 of npm (MPL-2.0), whole and unchanged."""

AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

SERIOUS = ("serious", "critical")

TABS = 120
"""The most presses of Tab with which something must be reached."""

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

Scheme = Literal["light", "dark"]


def find_browser() -> str | None:
    """The path of a browser, if this machine has one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextlib.contextmanager
def launched(path: str) -> Iterator[Browser]:
    """A browser. No event loop runs in this thread while Playwright has it, so tests that use it are not async."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Person:
    """A person at a screen. `faults`: errors in the console, uncaught ones, and violations of the policy."""

    context: BrowserContext
    page: Page
    url: str
    has_script: bool = True
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open an address of the room."""
        self.page.goto(f"{self.url}{path}", wait_until="domcontentloaded")
        return self.page

    def another_tab(self, path: str = "/") -> Page:
        """Open an address in a further tab."""
        page = self.context.new_page()
        self.watch(page)
        page.goto(f"{self.url}{path}", wait_until="domcontentloaded")
        return page

    def watch(self, page: Page) -> None:
        """Note what goes wrong on a page."""

        def note(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.faults.append(f"{page.url}: {message.text}")

        page.set_default_timeout(BOUND_SECONDS * 1000)
        page.on("console", note)
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))

    def forgive(self, words: str) -> None:
        """Take the faults with these words as expected; there must be one."""
        assert any(words in fault for fault in self.faults), self.faults
        self.faults[:] = [fault for fault in self.faults if words not in fault]

    def sign_in(self, code: str) -> Page:
        """Open a link, or type its code where there is no script."""
        if self.has_script:
            self.page.goto(f"{self.url}/sign-in#{code}")
        else:
            self.go("/sign-in").get_by_label("The code of the link").fill(code)
            self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.url}/")
        return self.page


@contextlib.contextmanager
def person(
    browser: Browser,
    room: RoomInThread,
    name: str | None = "olga",
    *,
    size: tuple[int, int] = DESK,
    script: bool = True,
    scheme: Scheme = "light",
    **options: Any,
) -> Iterator[Person]:
    """A person at a screen, signed in unless `name` is None. On leaving, nothing may have gone wrong on any page."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        java_script_enabled=script,
        color_scheme=scheme,
        reduced_motion="reduce",
        locale="en-GB",
        **options,
    )
    try:
        context.add_init_script(REPORT_VIOLATIONS)
        found = Person(context, context.new_page(), room.running.url, script)
        found.watch(found.page)
        if name is not None:
            found.sign_in(code_of(room, name))
        yield found
        assert not found.faults, "\n".join(found.faults)
    finally:
        context.close()


def code_of(room: RoomInThread, name: str) -> str:
    """A code with which a person can sign in once."""
    return str(call(room, "olga", "sign_in", name=name)["code"])


def call(room: RoomInThread, caller: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool as a member, outside the browser; returns its reply."""
    with room.modern(caller) as member:
        return reply(member.call(tool, arguments))


# ------------------------------------------------------------------ two pairs of hands


class Mouse:
    """Presses what it sees, with a mouse or a finger."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, target: Locator) -> None:
        """Press a button, a link or what opens a form."""
        target.click()

    def write(self, target: Locator, text: str) -> None:
        """Write into a field."""
        target.fill(text)


PLACES = {"/": "h", "/enrol": "e", "/settings": "s"}
"""The key after `g` that goes to a page."""

LISTS = {"/tasks/": ("b", "row-"), "/members/": ("m", "member-")}
"""The key after `g` that goes to a list, and what the ids of its rows begin with."""


class Keyboard(Mouse):
    """Reaches everything with keys: the shortcuts of the page, Tab and Enter."""

    def visit(self, path: str) -> None:
        """Go to a page; to a thing through the list that has it."""
        if path in PLACES:
            self.go(PLACES[path])
            return
        start = next(start for start in LISTS if path.startswith(start))
        key, prefix = LISTS[start]
        self.go(key)
        row = self.page.locator(f"#{prefix}{path.removeprefix(start)}")
        for _ in range(TABS):
            if row.get_attribute("aria-current"):
                break
            self.page.keyboard.press("j")
        with self.page.expect_navigation(wait_until="domcontentloaded"):
            self.page.keyboard.press("Enter")

    def go(self, key: str) -> None:
        """Press g and a key."""
        self.page.keyboard.press("Escape")
        with self.page.expect_navigation(wait_until="domcontentloaded"):
            self.page.keyboard.press("g")
            self.page.keyboard.press(key)

    def reach(self, target: Locator) -> None:
        """Press Tab until the focus is there."""
        target.wait_for()
        for _ in range(TABS):
            if target.evaluate("(element) => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{TABS} presses of Tab do not reach {target}")

    def press(self, target: Locator) -> None:
        self.reach(target)
        self.page.keyboard.press("Enter")

    def write(self, target: Locator, text: str) -> None:
        self.reach(target)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)


# ------------------------------------------------------------------ what a page looks like


def serious_findings(page: Page, *rules: str) -> list[str]:
    """What axe finds serious or critical on a page: by all of its rules, or by these."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['impact']} {one['id']}: {node['target']} {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def sideways_pixels(page: Page) -> int:
    """How far a page can be scrolled sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def main() -> None:
    """Say which browser the tests use."""
    path = find_browser()
    if path is None:
        print(NO_BROWSER)
        return
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=VERSION_SECONDS)
    print(f"The page is tested in {said.stdout.strip() or path}")


if __name__ == "__main__":
    main()
