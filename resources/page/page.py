"""The page: what each of its addresses shows, and the forms that act. Every read and act passes the door."""

import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from teamroom.resources.page import acts, views
from teamroom.resources.page.assets import PATH as ASSETS
from teamroom.resources.page.assets import assets
from teamroom.resources.page.forms import REQUEST_ID, THEN, TYPED, arguments_of, whole_form
from teamroom.resources.page.html import render
from teamroom.resources.page.live import Bodies, Live
from teamroom.resources.page.parts import PARTS, PARTS_OF, Part, filters_of, may_stop_all
from teamroom.resources.page.reading import AddressRefusal
from teamroom.resources.page.refusals import for_people
from teamroom.resources.page.shared import Shared
from teamroom.server.acts.act import AnyAct, AnyRead
from teamroom.server.acts.members.sign_in import SIGN_IN_PATH
from teamroom.server.acts.presence.me import LISTEN
from teamroom.server.acts.receipts.receipts import READ_RECEIPT, READ_STREAM, OneReceipt, ReadStream
from teamroom.server.clock import Clock
from teamroom.server.door.door import Door, UnauthorisedError
from teamroom.server.faults import Faults
from teamroom.server.http.visits import NO_STORE, PART_PATH, STREAM_PATH, Answer, Visit
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.joining import entries_of_chat_clients, lines_of_harnesses
from teamroom.server.settings import Settings
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.push import Push

STATUS = {
    "paused": 403,
    "killed": 403,
    "not_allowed": 403,
    "not_found": 404,
    "invalid": 400,
    "too_large": 400,
    "rate_limited": 429,
    "busy": 503,
    "storage": 503,
    "expired": 410,
}
"""The HTTP status with which a refusal is shown; 409 for the others."""

PASSING = ("too_large", "busy")
"""Refusals of a part that leave the rest of the home page as it is."""

SIGN_OUT_PATH = "/sign-out"

ACT = "/act/"

REQUEST_ID_BYTES = 12

DONE_SECONDS = 600.0
"""For how long an act is shown on top of the page that it led to, with its undo."""

SHOWN_ONCE = ("token", "code", "not_reached", "new_names", "removed")
"""Members of a reply that are shown once, so that the reply itself is shown instead of the page before."""

RunTool = Callable[[Caller, str, dict[str, Any], str, str | None], Awaitable[tuple[str, dict[str, Any]]]]
"""Runs a tool for a person: arguments, what was typed, request id. Returns words and data. Raises Refusal."""


@dataclass(frozen=True)
class Offered:
    """An act that people can do, as its tool describes it. `is_typed`: it wants a name typed."""

    does: AnyAct
    description: str
    is_typed: bool


class Page:
    """Answers browsers."""

    def __init__(
        self,
        door: Door,
        push: Push,
        bus: Bus,
        faults: Faults,
        settings: Settings,
        run: RunTool,
        offered: Mapping[str, Offered],
        wall: Clock,
    ) -> None:
        self._door, self._faults, self._settings = door, faults, settings
        self._run, self._offered, self._wall = run, offered, wall
        self._base = settings.path_prefix
        self._live = Live(door, push, bus)
        self.shared = Shared()

    def changed(self, topics: set[str]) -> None:
        """Note what an act changed, after its commit."""
        self.shared.changed({part for topic in topics for part in PARTS_OF.get(topic, ())})

    def all_changed(self) -> None:
        """Note that any part may have changed."""
        self.shared.changed(PARTS)

    def serves(self, path: str) -> bool:
        """Whether a path is the page's."""
        known = (SIGN_IN_PATH, SIGN_OUT_PATH, STREAM_PATH)
        return path in known or path.startswith((ACT, PART_PATH, ASSETS)) or views.find(path) is not None

    async def answer(self, visit: Visit) -> Answer:
        """Answer one visit; a refusal and a fault are shown as a page."""
        try:
            return await self._answer(visit)
        except AddressRefusal as refusal:
            if visit.caller is not None:
                self._door.rates.note_refusal(visit.caller, refusal)
            return self._refused(visit, refusal)
        except Refusal as refusal:
            return self._refused(visit, refusal)
        except Exception:
            words = self._faults.report(f"the page {visit.path[:60]!r}")
            return self.refuse(500, "storage", words, "Go back and try again. If it stays so: teamroom doctor")

    def refuse(self, status: int, code: str, why: str, fix: str, by_script: bool = False) -> Answer:
        """A refusal as a page, for a visit of which nothing else is known; as data if the page's script asked."""
        refusal = {"code": code, "why": why, "fix": fix}
        if by_script:
            return Answer(json.dumps(refusal).encode(), status, JSON_KIND)
        return Answer(self._render("refused.html", title="Refused", refusal=refusal, me=None, back=""), status)

    async def _answer(self, visit: Visit) -> Answer:
        if visit.path.startswith(ASSETS):
            file: Answer = _require(assets().get(visit.path), "There is no such file.")
            return file
        if visit.path == SIGN_IN_PATH:
            return await self._sign_in(visit)
        if visit.caller is None:
            return self._send_to_sign_in(visit)
        if visit.method == "POST":
            return await self._post(visit, visit.caller)
        if visit.path == STREAM_PATH:
            bodies: Bodies = partial(self._part_of, filters=filters_of({}), joined=True)
            frames = await self._live.stream(visit.caller, None if visit.query.get("names") else bodies)
            return Answer(kind="text/event-stream", stream=self._reported(frames))
        if visit.path.startswith(PART_PATH):
            part = _require(PARTS.get(visit.path.removeprefix(PART_PATH)), "The page has no such part.")
            return Answer(await self._part_of(part, visit.caller, filters=filters_of(visit.query), joined=False))
        return await self._show(visit, visit.caller)

    async def _reported(self, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same stream; a fault ends it, and is reported like one of a page."""
        try:
            async for frame in frames:
                yield frame
        except Exception:
            self._faults.report("the stream of a page")

    # -------------------------------------------------------------- what is shown

    async def _show(self, visit: Visit, caller: Caller) -> Answer:
        view, thing = _require(views.find(visit.path), "The page has no such address.")
        look = views.Look(
            caller,
            self._reader(caller),
            visit.query,
            thing,
            self._settings,
            self._wall(),
            partial(self._parts, caller),
            partial(self._offers, caller),
        )
        await self._door.check(caller, LISTEN)
        is_again = _wants(visit, MAIN)
        if view.share is None:
            template, found = f"{view.name}.html", await view.find(look)
        else:
            template, found = "shared.html", {"body": (await self._body_of(view, look, is_again)).decode()}
        return Answer(
            self._render(
                template,
                layout="main.html" if is_again else "base.html",
                title=f"{view.title} {look.thing}".strip(),
                me=caller,
                follows=view.follows,
                here=_here(visit),
                done=await self._done(visit, caller),
                request_id=secrets.token_hex(REQUEST_ID_BYTES),
                **found,
            )
        )

    async def _body_of(self, view: views.View, look: views.Look, is_again: bool) -> bytes:
        """What a view shows, as it is now. What open pages ask for again is rendered once for all who see the same."""

        async def render_body() -> bytes:
            return self._render(f"parts/{view.name}.html", **await view.find(look))

        share = view.share(look) if view.share is not None and is_again else None
        if share is None:
            return await render_body()
        await self._door.check(look.caller, share.read)
        return await self.shared.get((*view.follows, view.name, *share.key), render_body, joined=True)

    async def _parts(self, caller: Caller, filters: dict[str, Any]) -> dict[str, str]:
        return {part.name: (await self._part_or_why_not(part, caller, filters)).decode() for part in PARTS.values()}

    async def _part_or_why_not(self, part: Part, caller: Caller, filters: dict[str, Any]) -> bytes:
        """A part as it is now. One that takes too long to find says so, and the others are shown."""
        try:
            return await self._part_of(part, caller, filters=filters, joined=False)
        except Refusal as refusal:
            if refusal.code not in PASSING:
                raise
            return self._render("parts/refused.html", refusal=for_people(refusal))

    async def _part_of(self, part: Part, caller: Caller, *, filters: dict[str, Any], joined: bool) -> bytes:
        """A part as it is now. What all see is rendered once for them, and only for who may see it."""

        async def render_part() -> bytes:
            found = await part.find(self._reader(caller), caller, filters)
            return self._render(f"parts/{part.name}.html", me=caller, **found)

        if part.is_own:
            return await render_part()
        await self._door.check(caller, READ_STREAM)
        return await self.shared.get(part.key(caller, filters), render_part, joined=joined)

    def _reader(self, caller: Caller) -> Callable[[AnyRead, Any], Awaitable[Any]]:
        return partial(self._door.read, caller)

    def _offers(self, caller: Caller) -> list[dict[str, Any]]:
        may = self._may(caller)
        return [self._offer(offered) for name, offered in self._offered.items() if may(name)]

    def _offer(self, offered: Offered) -> dict[str, Any]:
        name = offered.does.name
        title = name.replace("_", " ").capitalize()
        shown = replace(whole_form(offered.does, title), typed="the name" if offered.is_typed else "")
        return {"name": name, "title": title, "description": offered.description, "form": shown}

    async def _done(self, visit: Visit, caller: Caller) -> Any:
        """The entry of the person's act that led here just now, for the line on top of the page: `?done=NUMBER`."""
        number = visit.query.get("done", "")
        if not re.fullmatch(r"[0-9]{1,15}", number) or number == "0":
            return None
        page = await self._door.read(caller, READ_STREAM, ReadStream(after=int(number) - 1, limit=1))
        after = self._wall() - DONE_SECONDS
        own = (one for one in page.entries if one.seq == int(number) and one.actor == caller.name)
        entry = next((one for one in own if datetime.fromisoformat(one.at).timestamp() > after), None)
        if entry is None:
            return None
        receipt = await self._door.read(caller, READ_RECEIPT, OneReceipt(seq=entry.seq))
        return {**entry.model_dump(), "reaches": receipt.detail.get("reaches", "")}

    # -------------------------------------------------------------- what is done

    async def _post(self, visit: Visit, caller: Caller) -> Answer:
        if visit.path == SIGN_OUT_PATH:
            await self._door.sign_out(caller)
            return Answer(status=303, headers=(NO_STORE, self._to(SIGN_IN_PATH)), session="")
        offered = _require(self._offered.get(visit.path.removeprefix(ACT)), "The page has no such form.")
        act, sent = offered.does, visit.form
        request_id = _last(sent, REQUEST_ID) or None
        words, data = await self._run(caller, act.name, arguments_of(act, sent), _last(sent, TYPED), request_id)
        if _wants(visit, JSON):
            return Answer(json.dumps({"words": words, "receipt": data.get("receipt")}).encode(), kind=JSON_KIND)
        if any(data.get(name) for name in SHOWN_ONCE):
            return Answer(self._result(caller, words, data, _then(visit)))
        where = _then(visit)
        if data.get("receipt"):
            path, _, query = where.partition("?")
            kept = [pair for pair in query.split("&") if pair and not pair.startswith("done=")]
            where = f"{path}?{'&'.join([*kept, urlencode({'done': data['receipt']})])}"
        return Answer(status=303, headers=(NO_STORE, self._to(where)))

    def _result(self, caller: Caller, words: str, data: dict[str, Any], then: str) -> bytes:
        """A reply that holds what is shown only once."""
        joins: dict[str, str] = {}
        if data.get("token"):
            mcp = f"{self._settings.members_url}/mcp"
            joins = (
                entries_of_chat_clients(mcp, data["name"], "teamroom") if data.get("chat") else lines_of_harnesses(mcp)
            )
        return self._render("result.html", title="Done", me=caller, words=words, data=data, joins=joins, back=then)

    # -------------------------------------------------------------- signing in

    async def _sign_in(self, visit: Visit) -> Answer:
        if not visit.is_private:
            raise Refusal(
                "not_allowed",
                "Nobody can sign in here, because others on the way could read it.",
                "Reach the room over TLS, or on its machine: docs/phone.md shows three ways.",
            )
        if visit.method != "POST":
            back = visit.query.get(THEN, "/")
            stopped = None if visit.stopped is None else for_people(_killed(visit.stopped))
            found = {"then": back, "stopped": stopped, "was": visit.caller}
            return Answer(self._render("sign-in.html", title="Sign in", me=None, **found))
        token = await self._door.sign_in(_last(visit.form, "code"), visit.caller)
        return Answer(status=303, headers=(NO_STORE, self._to(_then(visit))), session=token)

    def _send_to_sign_in(self, visit: Visit) -> Answer:
        if visit.method == "POST" or visit.path.startswith((PART_PATH, STREAM_PATH)) or _wants(visit, MAIN):
            if visit.stopped is not None:
                raise _killed(visit.stopped)
            refusal = Refusal("not_allowed", "You are not signed in.", "Get a link in a shell: teamroom sign-in")
            return self._refused(visit, refusal, 401)
        query = urlencode({THEN: _here(visit)})
        return Answer(status=303, headers=(NO_STORE, self._to(f"{SIGN_IN_PATH}?{query}")))

    # -------------------------------------------------------------- refusals

    def _refused(self, visit: Visit, refusal: Refusal, status: int | None = None) -> Answer:
        status = status or STATUS.get(refusal.code, 409)
        offered = self._offered.get(visit.path.removeprefix(ACT))
        said = for_people(refusal, None if offered is None else offered.does)
        if _wants(visit, JSON):
            return Answer(json.dumps(said).encode(), status, JSON_KIND)
        back = _then(visit) if visit.method == "POST" and visit.caller is not None else ""
        shown = self._render("refused.html", title="Refused", refusal=said, me=visit.caller, back=back)
        return Answer(shown, status)

    def _render(self, template: str, **found: Any) -> bytes:
        me: Caller | None = found.get("me")
        may_stop = me is not None and may_stop_all(me)
        given = {"layout": "base.html", "forms": acts, "may_stop_all": may_stop, "may": self._may(me)}
        return render(template, self._base, **{**given, **found})

    def _may(self, caller: Caller | None) -> Callable[[str], bool]:
        """Whether a person's role lets it do an act; the door decides about everything else."""

        def may(act: str) -> bool:
            offered = self._offered.get(act)
            return caller is not None and offered is not None and caller.role in offered.does.roles

        return may

    def _to(self, path: str) -> tuple[bytes, bytes]:
        return (b"location", f"{self._base}{path}".encode())


JSON_KIND = "application/json"

AS = "as"
"""The parameter with which the page's script asks for something else than a whole page."""

JSON, MAIN = "json", "main"
"""What it asks for: data, which it shows where the person pressed; or what an open page shows below its head, again."""


def _wants(visit: Visit, form: str) -> bool:
    """Whether the page's script asks for an answer of this form."""
    return visit.query.get(AS) == form


def _killed(stopped: UnauthorisedError) -> Refusal:
    return Refusal("killed", stopped.why, stopped.fix)


def _last(form: Mapping[str, list[str]], name: str) -> str:
    return form.get(name, [""])[-1].strip()


def _then(visit: Visit) -> str:
    """Where to go back to: a path of this page, and never another site."""
    then = _last(visit.form, THEN)
    is_own = re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", then) and ".." not in then and "#" not in then
    return then if is_own else "/"


def _here(visit: Visit) -> str:
    query = urlencode({name: value for name, value in visit.query.items() if name not in ("done", AS)})
    return f"{visit.path}?{query}" if query else visit.path


def _require(found: Any, why: str) -> Any:
    """What was looked for. Raises Refusal `not_found`."""
    if found is None:
        raise Refusal("not_found", why, "Go to the room's first page.")
    return found
