"""A browser without script: it keeps its cookie, reads pages, and sends forms as a page shows them."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx2

from tests.support.bounds import BOUND_SECONDS
from tests.support.plain_http import WITHOUT_TLS
from tests.support.rooms import RunningRoom

BEGINS = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"})
"""Elements that have no end."""


@dataclass
class FormShown:
    """A form of a page: where it is sent, what its fields have, and its buttons by what they show."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str] | None] = field(default_factory=dict)


class Shown(HTMLParser):
    """A page as a reader has it: its words, its links, its forms, and the ids of its elements."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__()
        self.answer, self.status = answer, answer.status_code
        self.words = ""
        self.links: list[str] = []
        self.forms: list[FormShown] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self._button: tuple[str, str] | None = None
        self._in_button: list[str] | None = None
        self._in_hidden = False
        self._named: list[str] | None = None
        self.buttons: list[tuple[str, str]] = []
        """What a reader can press: each button and each summary, by its whole name, with what it does."""
        self._select = self._area = ""
        self.feed(answer.text)
        self.close()

    @property
    def text(self) -> str:
        """Its words, with one space between two."""
        return " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes |= found.keys()
        if "id" in found:
            self.ids.append(found["id"])
        if tag in ("button", "summary") and "hidden" not in found:
            self._named = []
        if tag == "span" and found.get("class") == "hidden":
            self._in_hidden = True
        if tag == "a":
            self.links.append(found.get("href", ""))
        elif tag == "form":
            self.forms.append(FormShown(found.get("action", "")))
        elif tag in ("input", "textarea", "select", "button", "option"):
            self._handle_field(tag, found)

    def _handle_field(self, tag: str, found: dict[str, str]) -> None:
        name = found.get("name", "")
        if tag == "button":
            self._in_button = []
            self._button = (name, found.get("value", "")) if name else None
        elif not self.forms:
            return
        elif tag == "option" and self._select:
            if "selected" in found or self._select not in self.forms[-1].fields:
                self.forms[-1].fields[self._select] = found.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            self.forms[-1].fields[name] = ""
        elif found.get("type") != "checkbox" or "checked" in found:
            self.forms[-1].fields[name] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._in_hidden = False
        if tag in ("button", "summary") and self._named is not None:
            self.buttons.append((f"{tag} {' '.join(''.join(self._named).split())}", self._does(tag)))
            self._named = None
        if tag == "button" and self._in_button is not None:
            if self.forms:
                self.forms[-1].buttons[" ".join("".join(self._in_button).split())] = self._button
            self._in_button = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.words += data + " "
        if self._named is not None:
            self._named.append(data)
        if self._in_button is not None and not self._in_hidden:
            self._in_button.append(data)
        if self._area and self.forms:
            self.forms[-1].fields[self._area] += data

    def _does(self, tag: str) -> str:
        """What a button does: two that send the same form to the same end do the same."""
        if tag == "summary" or not self.forms:
            return f"opens {len(self.buttons)}"
        fields = {name: value for name, value in self.forms[-1].fields.items() if name != "then"}
        return f"{self.forms[-1].action} {fields} {self._button}"

    def form(self, action: str, button: str | None = None, **fixed: str) -> FormShown:
        """The form for an act, with these values in it."""
        found = [
            form
            for form in self.forms
            if form.action == f"/act/{action}"
            and (button is None or button in form.buttons)
            and all(form.fields.get(name) == value for name, value in fixed.items())
        ]
        assert len(found) == 1, f"{len(found)} forms for {action} with {fixed}: {self.forms}"
        return found[0]


class Visitor:
    """A person's browser."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str, **headers: str) -> Shown:
        """Open a path, and follow where it leads."""
        return Shown(await self.http.get(path, headers=headers, follow_redirects=True))

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        """Send a form as a page of this room does."""
        own = {"origin": str(self.http.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
        return await self.http.post(path, data=fields, headers={**own, **headers})

    async def send(self, form: FormShown, button: str | None = None, **fields: str) -> Shown:
        """Fill in a form and send it, with one of its buttons; and follow where it leads."""
        pressed = next(iter(form.buttons)) if button is None else button
        assert fields.keys() <= form.fields.keys(), f"{fields} are not fields of {form}"
        extra = dict([form.buttons[pressed]] if form.buttons[pressed] is not None else [])  # type: ignore[list-item]
        answer = await self.post(form.action, {**form.fields, **fields, **extra})
        if answer.status_code == 303:
            return await self.get(answer.headers["location"])
        return Shown(answer)

    async def sign_in(self, code: str) -> Shown:
        """Type a code into the field of the page."""
        page = await self.get("/sign-in")
        (form,) = page.forms
        return await self.send(form, code=code)


@contextlib.asynccontextmanager
async def visitor(room: RunningRoom, name: str | None = "olga") -> AsyncIterator[Visitor]:
    """A browser, in which a person is signed in unless `name` is None."""
    async with httpx2.AsyncClient(verify=WITHOUT_TLS, base_url=room.url, timeout=BOUND_SECONDS) as http:
        browser = Visitor(http)
        if name is not None:
            shown = await browser.sign_in(await code_for(room, name))
            assert shown.status == 200, shown.text
        yield browser


async def code_for(room: RunningRoom, name: str) -> str:
    """A code with which a person can sign in once."""
    owner = await room.connect("olga")
    link: dict[str, Any] = await owner("sign_in", name=name)
    return str(link["code"])


def cookies(answer: httpx2.Response) -> Iterator[str]:
    """Yield the cookies that an answer sets, as they are."""
    yield from answer.headers.get_list("set-cookie")
