"""Real rooms for tests: a real server on a free port, real clients of both protocol eras, time in the test's hands."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from teamroom.server.app import ChooseEngine, Room, sqlite_engine
from teamroom.server.clock import awake_clock, steady_clock, wall_clock
from teamroom.server.http.listening import listen
from teamroom.server.identity import Entropy
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.sqlite.connect import connect_reader
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading
from teamroom.server.web import serve
from tests.support.bounds import BOUND_SECONDS
from tests.support.databases import lay_down
from tests.support.eventually import until
from tests.support.kept_alive import KeptAlive
from tests.support.one_task import in_one_task
from tests.support.plain_http import WITHOUT_TLS

T = TypeVar("T")

Era = Literal["auto", "legacy"]
ERAS: tuple[Era, Era] = ("auto", "legacy")


@dataclass
class Time:
    """A clock that goes on by itself and can be moved."""

    offset: float = 0.0
    stepped: float = 0.0
    asleep: float = 0.0

    def __call__(self) -> float:
        return wall_clock() + self.offset + self.stepped

    def steady(self) -> float:
        return steady_clock() + self.offset

    def awake(self) -> float:
        return awake_clock() + self.offset - self.asleep

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.offset += seconds

    def sleep(self, seconds: float) -> None:
        """Let the machine sleep."""
        self.asleep += seconds
        self.offset += seconds

    def step(self, seconds: float) -> None:
        """Set the clock on the wall, while no time passes."""
        self.stepped += seconds


class StillTime(Time):
    """A clock that stands still until it is moved, so that nothing changes by time."""

    def __init__(self, at: float = 1_790_000_000.0) -> None:
        super().__init__(offset=at)

    def __call__(self) -> float:
        return self.offset + self.stepped

    def steady(self) -> float:
        return self.offset

    def awake(self) -> float:
        return self.offset - self.asleep


@dataclass
class Refused(Exception):
    """A refusal as a client received it."""

    body: dict[str, Any]
    text: str

    @property
    def code(self) -> str:
        return str(self.body["code"])


class OwnClient:
    """The SDK's client of a member, which connects when a test first uses it."""

    def __init__(self, connect: Callable[[], Awaitable[Client]]) -> None:
        self._connect = connect
        self._connected: Client | None = None

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def use(*arguments: Any, **options: Any) -> Any:
            if self._connected is None:
                self._connected = await self._connect()
            return await getattr(self._connected, name)(*arguments, **options)

        return use


@dataclass(eq=False)
class Member:
    """A connected member: its tools as Python calls, through a `caller` if it has one, or the SDK's client."""

    name: str
    client: Client | OwnClient
    caller: KeptAlive | None = None

    async def __call__(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool; returns its structured reply, raises Refused."""
        body, text, refused = await self.said(tool, request_id=request_id, **arguments)
        if refused:
            raise Refused(body, text)
        return body

    async def said(
        self,
        tool: str,
        /,
        request_id: str | None = None,
        listener: str | None = None,
        run: Any = None,
        woke: Any = None,
        ended: Any = None,
        runtime: Any = None,
        **arguments: Any,
    ) -> tuple[dict[str, Any], str, bool]:
        """Call a tool, also as a listener of some age; returns structured reply, text, and whether it was refused."""
        said = {"teamroom/request-id": request_id, "teamroom/listener": listener, "teamroom/run": run}
        said |= {"teamroom/woke": woke, "teamroom/run-ended": ended, "teamroom/runtime": runtime}
        meta: Any = {key: value for key, value in said.items() if value is not None} or None
        if self.caller is not None:
            found = await self.caller.call(tool, arguments, meta or {})
            return found.get("structuredContent"), found["content"][0]["text"], found.get("isError", False)
        result: Any = await self.client.call_tool(tool, arguments, meta=meta)
        return result.structured_content, result.content[0].text, bool(result.is_error)

    async def refused(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must be refused; returns the refusal."""
        body, text, refused = await self.said(tool, **arguments)
        assert refused, f"{tool} was carried out: {text}"
        assert body["code"] in text
        assert body["why"] in text
        assert body["fix"] in text
        return body


@dataclass
class RunningRoom:
    """A room that answers at `url`."""

    room: Room
    folder: Path
    url: str
    time: Time
    owner_token: str
    era: Era = "auto"
    with_sdk: bool = False
    """Whether all calls of members go through the SDK's client; older clients' calls always do."""
    tokens: dict[str, str] = field(default_factory=dict)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def connect(self, name: str, token: str | None = None, era: Era | None = None) -> Member:
        """A member connected with its token for as long as the room runs."""
        token = token or (self.owner_token if name == "olga" else self.tokens[name])

        async def connect() -> Client:
            return await self.stack.enter_async_context(in_one_task(self.client(token, era)))

        if self.with_sdk or (era or self.era) == "legacy":
            return Member(name, await connect())
        caller = KeptAlive(self.room.settings.port, token)
        self.stack.callback(caller.hang_up)
        return Member(name, OwnClient(connect), caller)

    @contextlib.asynccontextmanager
    async def client(self, token: str, era: Era | None = None) -> AsyncIterator[Client]:
        """A client of the SDK with a bearer token."""
        async with (
            httpx2.AsyncClient(verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http), mode=era or self.era) as client,
        ):
            yield client

    async def owner(self) -> Member:
        """The room's first owner, @olga."""
        return await self.connect("olga")

    async def enroll(self, *names: str, **options: Any) -> list[Member]:
        """Enroll members and connect them."""
        owner = await self.owner()
        for name in names:
            self.tokens[name] = (await owner("enroll", name=name, **options))["token"]
        return [await self.connect(name) for name in names]

    async def raw(self, method: str = "POST", path: str = "/mcp", **request: Any) -> httpx2.Response:
        """One HTTP request as it is."""
        async with httpx2.AsyncClient(verify=WITHOUT_TLS, base_url=self.url, timeout=BOUND_SECONDS) as http:
            return await http.request(method, path, **request)

    async def later(self, seconds: float) -> None:
        """Let time pass, and the supervisor do what is due then."""
        self.time.forward(seconds)
        await self.room.supervisor.tick()
        await self.delivered()

    async def delivered(self) -> None:
        """Let the letters be sent that are due, and wait for what comes of it."""
        await self.room.deliverer.tick()
        await asyncio.wait_for(self.room.deliverer.settled(), BOUND_SECONDS)

    async def until_waiting(self, count: int = 1) -> None:
        """Wait until this many calls wait for a wake."""
        await until(lambda: self.room.bus.waiting_calls >= count)

    def entries(self) -> list[Any]:
        """The whole log, straight from the store."""
        return [e._asdict() for e in self.look_up(lambda tx: tx.all(LogEntry, "log_page", after=0, limit=100_000))]

    def look_up(self, work: Callable[[Reading], T]) -> T:
        """Read what was committed, in one snapshot, from outside the room's own store."""
        context = Context(sqlite_statements(), self.room.settings, secrets.token_bytes, self.room.clock)
        with contextlib.closing(connect_reader(self.folder / data_folder.DATABASE)) as connection:
            connection.execute("begin")
            return work(Reading(connection, context))


@contextlib.asynccontextmanager
async def running_room(
    folder: Path,
    era: Era = "auto",
    with_sdk: bool = False,
    time: Time | None = None,
    entropy: Entropy = secrets.token_bytes,
    supervised: bool = False,
    choose_engine: ChooseEngine = sqlite_engine,
    on_own_socket: bool = False,
    port: int = 0,
    **settings: Any,
) -> AsyncIterator[RunningRoom]:
    """A room served over HTTP in this process, on a free port; without its supervisor unless a test wants it."""
    data_folder.make_private(folder)
    lay_down(folder)
    listener, found = listen(Settings(port=port, **settings))
    time = time or Time()
    clocks: dict[str, Any] = {"clock": time, "steady": time.steady, "awake": time.awake}
    room = Room(folder, found, entropy=entropy, choose_engine=choose_engine, **clocks)
    if not supervised:
        room.supervise = room.deliver = asyncio.Event().wait  # type: ignore[method-assign,assignment]
    with contextlib.closing(listener), data_folder.locked(folder, found.url):
        await room.open("olga")
        if not supervised:
            await room.deliverer.begin()
        opened = asyncio.Event()
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(room, listener, opened.set, stop, on_own_socket))
        try:
            await asyncio.wait_for(opened.wait(), BOUND_SECONDS)
            token = (folder / data_folder.OWNER_TOKEN).read_text().strip()
            running = RunningRoom(room, folder, found.url, time, token, era, with_sdk)
            async with running.stack:
                yield running
        finally:
            stop.set()
            await asyncio.wait_for(serving, BOUND_SECONDS)
