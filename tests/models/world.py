"""The world that every model drives: a real door over a real store, a clock in the model's hand, and crashes.

A crash is what `kill -9` leaves, opened again by a new store: files between two steps, or a database whose connections
have ended. `on_engine` chooses the engine. Steps and time are the model's; what must hold, each model says by itself.

The store has no threads here: an act is committed where it is asked for, which is four times as fast. What
threads do to it is tested elsewhere, and a model does one thing at a time anyway. The room's supervisor works
when a model lets it tick, and sleeps never; a second one, and one that stalls in the middle of its work, too.
"""

import contextlib
import secrets
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from teamroom.server.acts.act import AnyAct, AnyRead
from teamroom.server.acts.control.mend import mend, owner_token
from teamroom.server.acts.control.restore import start_new_epoch
from teamroom.server.acts.members.members import ENROLL, open_room
from teamroom.server.clock import Moment, RoomClock
from teamroom.server.door.door import Door
from teamroom.server.door.principal import Heard
from teamroom.server.identity import Caller
from teamroom.server.metrics import Metrics
from teamroom.server.record import chain as log
from teamroom.server.record import journal
from teamroom.server.refusals import Refusal
from teamroom.server.rules.runs import RunReport
from teamroom.server.settings import Settings
from teamroom.server.store.transaction import Context, Effects, Reading, Writing
from teamroom.server.supervisor import loop
from teamroom.server.supervisor.loop import Supervisor
from tests.models.engines import ENGINES, Engine, model_loop, run_at_once
from tests.support.rates import without_limits

BEGINNING = 1_795_000_000.0
MEMORY = Path("/dev/shm")
"""Where there is a disk in memory, rooms of models lie there: what a disk does is tested elsewhere."""

CLOCK_STEPS = (-1.0, 3_600.0, -3_600.0, 86_400.0, -86_400.0, 90 * 86_400.0, -90 * 86_400.0)
"""By how much somebody sets the clock on the wall."""

Decided = Callable[[Writing, float], Any]
"""What a supervisor has decided to do, and not done yet."""


@dataclass(frozen=True)
class Plan:
    """The room that a model begins with: its settings, and who is there with which options of `enroll`."""

    members: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)


class World:
    """One room, from its beginning to the end of one run."""

    engine: ClassVar[Engine] = ENGINES["sqlite"]
    statements: ClassVar[Mapping[str, str]] = engine.statements
    _rooms: ClassVar[dict[tuple[str, int], tuple[Path, dict[str, str]]]] = {}

    def __init__(self, plan: Plan) -> None:
        self.now = BEGINNING  # the time that passes
        self._stepped = 0.0
        self._plan = plan
        self.settings = Settings(**{"reserve_bytes": 0, "refusals_per_hour": 1000, **plan.settings})
        self._scratch = Path(tempfile.mkdtemp(prefix="teamroom-model-", dir=MEMORY if MEMORY.is_dir() else None))
        self.lives = self._places = 0
        self.listening: set[int] = set()
        """Who has a live listener, which waits for nothing here."""
        key = (self.engine.name, id(plan))
        if key not in self._rooms:
            self._rooms[key] = self._furnish()
        template, self.tokens = self._rooms[key]
        self.tokens = dict(self.tokens)
        self._live_on(self.engine.copy(template, self._new_place()))
        self.callers = {name: self.identify(token) for name, token in self.tokens.items()}

    def identify(self, token: str) -> Caller:
        """The member behind a token."""
        caller: Caller = run_at_once(self.door.identify(token))
        return caller

    def act(self, name: str, act: AnyAct, caller: Caller | None = None, /, **arguments: Any) -> Any:
        """A member acts; returns the reply, or the refusal."""
        return self._answer(self.door.act(caller or self.callers[name], act, act.arguments(**arguments)))

    def hear(self, name: str, act: AnyAct, run: RunReport | None) -> Any:
        """A member's live listener acts, and says which run is on."""
        return self._answer(self.door.act(self.callers[name], act, act.arguments(), listener=Heard(run)))

    def say(self, name: str, act: AnyAct, heard: Heard | None, /, **arguments: Any) -> Any:
        """A member or its listener acts; the listener says what became of its wakes."""
        return self._answer(self.door.act(self.callers[name], act, act.arguments(**arguments), listener=heard))

    def act_once(self, name: str, act: AnyAct, request_id: str | None, /, **arguments: Any) -> Any:
        """A member acts under a request id; returns the reply, or the refusal."""
        return self._answer(self.door.act(self.callers[name], act, act.arguments(**arguments), request_id))

    def read(self, name: str, read: AnyRead, /, **arguments: Any) -> Any:
        """A member reads; returns the reply, or the refusal."""
        return self._answer(self.door.read(self.callers[name], read, read.arguments(**arguments)))

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """What lies in the database."""
        found: list[tuple[Any, ...]] = self._store.look(sql)
        return found

    @property
    def wall(self) -> float:
        """What the clock on the wall says."""
        return self.now + self._stepped

    def step_clock(self, seconds: float) -> None:
        """Somebody sets the clock on the wall, while no time passes; the room's supervisor sees to it."""
        self.watch()  # which a room that runs does all the time
        self._stepped += seconds
        run_at_once(self.door.act_as_room(Writing.save_clock))

    def sleep(self, seconds: float) -> None:
        """The server stands still for a while, with all clocks going on, and then finds that it did."""
        self.now += seconds
        self.watch.slept(seconds)

    def tick(self, holder: str = "first") -> float:
        """A supervisor does all that is due; returns when the next thing is."""
        return model_loop.run_until_complete(self._supervisor(holder, self.door).tick())

    def tick_and_stall(self, holder: str = "first") -> list[Decided]:
        """A supervisor stalls between what it decided in its first round and the first commit of that; returns it."""
        stalling = StallingDoor(self.door)
        with contextlib.suppress(StalledError):
            model_loop.run_until_complete(self._supervisor(holder, stalling).tick())
        return stalling.decided

    def go_on(self, decided: list[Decided]) -> list[Any]:
        """A supervisor that stalled does what it decided, in this life of the server or a later one."""
        return [run_at_once(self.door.act_as_room(work)) for work in decided]

    def _supervisor(self, holder: str, door: Any) -> Supervisor:
        return Supervisor(door, self._store, self.watch, self.settings, _METRICS, holder)

    def crash(self) -> None:
        """The server is killed, and another one opens what it left."""
        store = self._store
        self._live_on(self.engine.after_kill(self._life, self._new_place()))
        run_at_once(store.close())

    def restart(self, step: float) -> None:
        """The room is stopped as it should be, and opened again; meanwhile somebody sets the clock on the wall."""
        run_at_once(self.door.act_as_room(Writing.save_clock))
        self._stepped += step
        self.crash()

    def back_up(self) -> Path:
        """A copy of the room, as it is now."""
        return self.engine.copy(self._life, self._new_place())

    def restore(self, backup: Path) -> str | None:
        """An earlier copy takes the room's place, and what was stopped since stays so; returns an owner's new token."""
        context = Context(self.statements, self.settings, secrets.token_bytes, self.watch)
        stops = journal.stopped(Reading(self._store.connection, context))
        ((epoch,),) = self.look("select epoch from head")

        def begin(tx: Writing) -> str | None:
            start_new_epoch(tx, epoch + 1, tx.wall, stops)
            return mend(tx) or owner_token(tx, self.tokens["olga"])

        draft, store = self.engine.copy(backup, self._new_place()), self._store
        token: str | None = self.engine.rewrite(draft, context, begin)
        self._live_on(draft)
        run_at_once(store.close())
        return token

    def end(self) -> None:
        """Close the room and take its files away. The log must say all that the database holds (LOG3)."""
        verdict = self.verify()
        self.close()
        assert verdict.good, f"entry {verdict.first_bad}: {verdict.why}"
        assert verdict.not_rebuilt == ()

    def close(self) -> None:
        """Close the room and take its files away, whatever its log says."""
        run_at_once(self._store.close())
        self.engine.remove(self._scratch)

    def verify(self) -> log.Verification:
        """Verify the log, and rebuild from it what the room holds."""
        context = Context(self.statements, self.settings, secrets.token_bytes)
        verifier = log.Verifier(seal=None, key=None)
        while (verdict := verifier.step(Reading(self._store.connection, context))) is None:
            pass
        return verdict

    def _answer(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return run_at_once(work)
        except Refusal as refusal:
            return refusal

    def _new_place(self) -> Path:
        self._places += 1
        return self._scratch / str(self._places)

    def _live_on(self, place: Path) -> None:
        self._life = place
        self.lives += 1
        self._store = self._open(place)
        run_at_once(self._store.open())
        self.watch.resume(run_at_once(self._store.look_up(lambda tx: tx.only(Moment, "clock_state"))))
        self.watch.was_away_since(run_at_once(self._store.look_up(lambda tx: tx.value(float, "last_sign"))) or 0.0)
        self.door = Door(self._store, self.watch, _METRICS, str, without_limits())

    def _open(self, place: Path) -> Any:
        self.watch = RoomClock(lambda: self.wall, lambda: self.now, self.settings.clock_step_seconds)
        listens = self.listening.__contains__
        context = Context(self.statements, self.settings, secrets.token_bytes, self.watch, listens=listens)
        return self.engine.open(place, context, _nothing)

    def _furnish(self) -> tuple[Path, dict[str, str]]:
        """The room as every run finds it; made once for all runs of a model."""
        folder = Path(tempfile.mkdtemp(prefix="teamroom-plan-", dir=MEMORY if MEMORY.is_dir() else None))
        _templates.append((self.engine, folder))
        self.engine.make(folder)
        self._store = self._open(folder)
        run_at_once(self._store.open())
        made = self._store.create(lambda tx: open_room(tx, "olga"), log.FIRST_HASH)
        tokens = {"olga": run_at_once(made)}
        self.door = Door(self._store, self.watch, _METRICS, str, without_limits())
        self.callers = {"olga": self.identify(tokens["olga"])}
        for name, options in self._plan.members.items():
            tokens[name] = self.act("olga", ENROLL, name=name, **options).token
        self.callers = {name: self.identify(token) for name, token in tokens.items()}
        self.furnish()
        run_at_once(self._store.close())
        return folder, tokens

    def furnish(self) -> None:
        """What members do before the first step of every run."""


_METRICS = Metrics()
_templates: list[tuple[Engine, Path]] = []


class StalledError(BaseException):
    """A supervisor stands still. No exception of its work, so that it is not taken for one."""


class StallingDoor:
    """Lets a supervisor lead, and no further: the duties that it then decided to do wait."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.decided: list[Decided] = []

    async def settle_refused(self) -> None:
        """Do what is due of refused calls, which is no duty."""
        await self._door.settle_refused()

    async def write_deliveries(self) -> None:
        """Write which wakes listeners were given."""
        await self._door.write_deliveries()

    async def act_as_room(self, work: Decided) -> Any:
        """Carry out what is no duty."""
        if getattr(work, "func", None) is not loop.carry_out:
            return await self._door.act_as_room(work)
        self.decided.append(work)
        raise StalledError


def _nothing(effects: Effects) -> None:
    """Nobody waits in these rooms."""


@contextlib.contextmanager
def clean_up() -> Iterator[None]:
    """Take away what all runs shared, once they are over."""
    try:
        yield
    finally:
        World._rooms.clear()
        while _templates:
            engine, place = _templates.pop()
            engine.remove(place)


@contextlib.contextmanager
def on_engine(name: str) -> Iterator[None]:
    """Let rooms be kept by an engine, `sqlite` or `postgres`."""
    before = World.engine, World.statements
    World.engine = ENGINES[name]
    World.statements = World.engine.statements
    try:
        yield
    finally:
        World.engine, World.statements = before


@contextlib.contextmanager
def open_world(plan: Plan) -> Iterator[World]:
    """A room that a test plays in, taken away with all that it shared."""
    with clean_up():
        opened = World(plan)
        try:
            yield opened
        finally:
            opened.end()


@contextlib.contextmanager
def statement(name: str, change: Callable[[str], str]) -> Iterator[None]:
    """A fault in one statement of SQL, for the twin of a model."""
    whole = World.statements
    changed = change(whole[name])
    assert changed != whole[name], f"the statement {name} is another one now"
    World.statements = {**whole, name: changed}
    try:
        yield
    finally:
        World.statements = whole


@contextlib.contextmanager
def own_statement(name: str, sql: str) -> Iterator[None]:
    """One more statement, for a twin that reads what the room does not."""
    whole = World.statements
    World.statements = {**whole, name: sql}
    try:
        yield
    finally:
        World.statements = whole


class Model(RuleBasedStateMachine):
    """What all models have in common: a world, which ends with the run."""

    PLAN: Plan

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.PLAN)

    def teardown(self) -> None:
        """The run is over."""
        self.world.end()


def code(answer: Any) -> str:
    """`ok`, or the code of a refusal."""
    return answer.code if isinstance(answer, Refusal) else "ok"
