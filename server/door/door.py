"""The one door: every act, every read and every refusal passes it.

An act is one write transaction. It locks the head, reads the caller's token and its standing at three levels, runs the
act or refuses it, and appends a receipt. Listeners are nudged after the commit. No permission is cached, so a pause
binds the very next commit and a resume the very next call. A read is one snapshot that includes the same check.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, AnyRead
from teamroom.server.acts.members.members import end_replaced
from teamroom.server.acts.members.sign_in import end_session, open_session, require_link
from teamroom.server.acts.presence.presence import WAKES_WAITING
from teamroom.server.clock import Clock
from teamroom.server.door.addresses import Addresses, NoAddresses, drop_unused, keep_address
from teamroom.server.door.admission import admit, carry_out, require_permitted, with_waiting
from teamroom.server.door.confirmations import Confirmation, ask_once, use_up
from teamroom.server.door.deliveries import DELIVERIES_AT_ONCE, Deliveries, write_deliveries
from teamroom.server.door.failures import storage_refusal, too_large
from teamroom.server.door.identities import Identities
from teamroom.server.door.kept import KeptReplies
from teamroom.server.door.principal import Heard, caller_of, find_principal, is_live, is_stale, note_steps
from teamroom.server.door.rates import Rates
from teamroom.server.door.readiness import Readiness
from teamroom.server.door.refused import record_refusal
from teamroom.server.door.repeated import tell_owner, write_counts
from teamroom.server.door.repeats import remember, repeat_of, replay
from teamroom.server.door.timed import Timed
from teamroom.server.facts.standing import state_of
from teamroom.server.facts.steps import Delivery
from teamroom.server.identity import Caller
from teamroom.server.metrics import Metrics
from teamroom.server.record import chain as log
from teamroom.server.refusals import UNRECORDED, Refusal
from teamroom.server.rules.text import inline
from teamroom.server.store.engine import (
    ROOMS_TURN,
    BusyError,
    QueueFullError,
    ReadEndedError,
    StorageError,
    TooLargeError,
    Transactions,
    Turn,
)
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading, Writing

logger = logging.getLogger("teamroom.door")

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")

FOLLOWS_BEHIND = 4
"""With this many acts waiting, what follows an act is left to the supervisor."""

STRANGERS = -1
"""In the line of reads, the member that stands for everybody without a token."""

COUNTS_SECONDS = 5.0
"""How soon the number of refused calls is written."""


OnLost = Callable[[Callable[[], object]], contextlib.AbstractContextManager[None]]
"""A block in which a function is called once the client is gone."""


class UnauthorisedError(Exception):
    """A bearer token that opens nothing. `code` is `killed` for a killed member, else `not_allowed`.

    `more`: further facts of the refusal, such as who killed the member.
    """

    def __init__(self, code: str, why: str, fix: str, **more: str | None) -> None:
        super().__init__(why)
        self.code, self.why, self.fix, self.more = code, why, fix, more


class Door:
    """Lets callers act and read, each in one transaction, or refuses them."""

    def __init__(
        self, store: Transactions, clock: Clock, metrics: Metrics, restore_command: Callable[[], str], rates: Rates
    ) -> None:
        self.rates = rates
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._restore_command = restore_command
        self._readiness = Readiness(store)
        self._kept = KeptReplies(store, clock)
        self._identities = Identities(store)
        self.deliveries = Deliveries()
        self.addresses: Addresses = NoAddresses()
        """Keeps the addresses that calls contain, outside the database."""
        self.on_refused: Callable[[float], object] = lambda at: None
        """Called with the time at which `settle_refused` is due."""
        self.on_delivered: Callable[[float], object] = lambda at: None
        """The same for `write_deliveries`."""
        self.on_lost: OnLost | None = None
        """Ends a large read with its client's connection, where there is one."""
        self.on_waiting: Callable[[], object] = lambda: None
        """Called when a call begins to wait for the store."""

    async def identify(self, token: str) -> Caller:
        """The caller behind a bearer token. Raises UnauthorisedError; says nothing about why a token fails."""
        row = await self._identities.find(token)
        if row is None or not is_live(row, self._clock()):
            if row is not None and row.state == "killed":
                raise _killed(row)
            raise UnauthorisedError(
                "not_allowed",
                "The token is missing or unknown.",
                "Send the header Authorization: Bearer TOKEN, with a token from `teamroom enroll NAME`.",
            )
        if row.state == "killed":
            raise _killed(row)
        if row.replaces is not None:
            await self._end_replaced(row)
        return caller_of(row)

    async def _end_replaced(self, row: TokenRow) -> None:
        """End the token that this one replaces. If that cannot be written now, the next call does it."""
        with contextlib.suppress(Refusal):
            await self._write(partial(end_replaced, row=row), _reraise, ROOMS_TURN, when_full=True)

    async def find_hash(self, start: str) -> str | None:
        """The stored hash of a token, live or ended, by its beginning in hexadecimal; None if there is none.

        Everybody can ask for that, so all who do have the turns of one member. Raises StorageError.
        """

        def find(tx: Reading) -> str | None:
            return tx.value(str, "token_hash", start=start, after=f"{start}g")

        try:
            return await self._store.read(find, is_small=True, member=STRANGERS)
        except QueueFullError:
            raise BusyError("too many callers without a token wait") from None

    async def sign_in(self, code: str, former: Caller | None = None) -> str:
        """Use a link to the page up; returns the token of the session that it opens. Raises Refusal.

        `former`: whose session the browser had until now; it ends.

        A code that opens nothing costs a read alone, because everybody can send one.
        """
        try:
            await self._store.look_up(partial(require_link, code=code))
        except StorageError as error:
            raise self.storage_refusal(error) from error
        return await self.act_as_room(partial(open_session, code=code, former=former))

    async def sign_out(self, caller: Caller) -> None:
        """End the session of a person's browser. Raises Refusal if that cannot be written."""
        await self._write(partial(end_session, caller=caller), _reraise, ROOMS_TURN, when_full=True)

    async def is_ready(self) -> bool:
        """Whether the store takes acts: it tried one some seconds ago, or tries one now."""
        return await self._readiness.is_ready()

    async def act(
        self,
        caller: Caller,
        act: AnyAct,
        arguments: BaseModel,
        request_id: str | None = None,
        listener: Heard | None = None,
    ) -> Any:
        """Carry out an act durably, and return its reply. Raises Refusal; the act is undone then.

        `listener`: what the caller's listener says with this call; None if the member itself calls.
        """
        if act.address:
            return await self._act_with_address(caller, act, arguments, request_id, listener)
        return await self._act(caller, act, arguments, request_id, listener=listener)

    async def _act_with_address(
        self, caller: Caller, act: AnyAct, arguments: Any, request_id: str | None, listener: Heard | None
    ) -> Any:
        """Carry out an act that can take an address, without showing it the address. Raises Refusal."""
        self.rates.require_care(caller)
        try:
            arguments = await keep_address(self.addresses, caller, act, arguments)
        except Refusal as refusal:
            self.rates.note_refusal(caller, refusal)
            await self._leave_receipt(caller, act.name, refusal)
            raise
        try:
            reply = await self._act(caller, act, arguments, request_id, listener=listener)
        except Refusal:
            await drop_unused(self.addresses, act, arguments, None)
            raise
        await drop_unused(self.addresses, act, arguments, reply)
        return reply

    async def act_confirmed(
        self, caller: Caller, act: AnyAct, arguments: BaseModel, confirmation: Confirmation, request_id: str | None
    ) -> Any:
        """Carry out an act that a person confirmed, which uses the confirmation up. Raises Refusal.

        A repeat of the call needs none: it gets the first reply.
        """
        return await self._act(caller, act, arguments, request_id, confirmation=confirmation)

    async def _act(
        self,
        caller: Caller,
        act: AnyAct,
        arguments: BaseModel,
        request_id: str | None,
        *,
        listener: Heard | None = None,
        confirmation: Confirmation | None = None,
    ) -> Any:
        sent = arguments.model_dump_json().encode()
        repeat = repeat_of(act, sent, request_id)

        def work(tx: Writing) -> Any:
            if act.is_switch:
                tx.lift_limit()
            present = admit(tx, caller, act.roles, act.while_paused, listener)
            if repeat is not None and (first := replay(tx, present, act, repeat)) is not None:
                return with_waiting(tx, present, act, first)
            if confirmation is not None:
                use_up(tx, confirmation, act.name)
            reply = carry_out(tx, present, act, arguments)
            if repeat is not None and state_of(tx.principal, tx.now) == "active":
                remember(tx, present, act, repeat, reply)
            return with_waiting(tx, present, act, reply)

        with Timed(self._metrics, "act", act.name) as timed:
            turn = await self._turn(caller, act, len(sent))
            timed.reply = await self._counted(
                caller, self._write(work, self._recovery(caller, act), turn, act.is_switch)
            )
            if act.afterwards is not None and timed.reply.replayed is None:
                await self._follow(caller, act, arguments)
            return timed.reply

    async def _follow(self, caller: Caller, act: AnyAct, arguments: BaseModel) -> None:
        """Carry out what follows an act. It never holds up the answer for long, and the act stays whatever fails."""
        follow = act.afterwards
        if follow is None or self._store.waiting >= FOLLOWS_BEHIND:
            return
        try:
            await self._write(lambda tx: follow(tx, caller, arguments), _reraise, ROOMS_TURN, act.is_switch)
        except Exception:
            logger.exception("what follows %s failed; the supervisor does it", act.name)

    async def act_as_room(self, work: Callable[[Writing], T]) -> T:
        """Carry out an act of the room itself, durably. No standing applies to it. Raises Refusal."""
        done: T = await self._write(work, _reraise, ROOMS_TURN)
        return done

    async def act_for(self, caller: Caller, read: AnyRead, work: Callable[[Writing], T]) -> T:
        """Carry out what the room writes because of a call, if the caller may still make that call.

        Raises Refusal, which leaves no receipt, because the call itself leaves one.
        """

        def admitted(tx: Writing) -> T:
            require_permitted(tx, caller, read.roles, read.while_paused)
            return work(tx)

        done: T = await self._write(admitted, _reraise, Turn(caller.member))
        return done

    def note_delivery(self, caller: Caller, listener: str | None, after: int, upto: int) -> None:
        """Note that a listener of a member is given wakes: those after a number and up to another."""
        now = self._clock()
        if self.deliveries.note(Delivery(caller, listener or "", after, upto, now)):
            self.on_delivered(now)

    async def ends(self, caller: Caller) -> tuple[int, int]:
        """Up to which number a member acknowledged its wakes, and the last number of the log. Raises StorageError."""

        def look(tx: Reading) -> tuple[int, int]:
            row = find_principal(tx, caller)
            return 0 if row is None else row.acknowledged, tx.only(ReadHead, "read_head").seq

        return await self._store.look_up(look)

    async def note_steps(self, caller: Caller, listener: Heard) -> None:
        """Write what a member's newest listener says of its wakes with a read. Raises Refusal to a stopped one."""
        await self.act_for(caller, WAKES_WAITING, lambda tx: note_steps(tx, caller, listener))

    async def write_deliveries(self) -> None:
        """Write which wakes listeners were given since this was done last; later if nothing can be written now."""
        taken = self.deliveries.take()
        while taken:
            now, later = taken[:DELIVERIES_AT_ONCE], taken[DELIVERIES_AT_ONCE:]
            try:
                await self.act_as_room(partial(write_deliveries, deliveries=now))
            except Refusal:
                self.deliveries.put_back(taken)
                break
            taken = later

    async def rehearse(self, caller: Caller, act: AnyAct, arguments: BaseModel) -> Confirmation:
        """Try an act and undo it; returns what a person's confirmation of it consists of.

        Raises the Refusal that the act would raise.
        """
        recovered = self._recovery(caller, act)

        def work(tx: Writing) -> None:
            if act.is_switch:
                tx.lift_limit()
            carry_out(tx, admit(tx, caller, act.roles, act.while_paused), act, arguments)
            raise _RehearsedError

        def recover(tx: Writing, error: Exception) -> Refusal | Confirmation:
            return ask_once(tx) if isinstance(error, _RehearsedError) else recovered(tx, error)

        turn = await self._turn(caller, act, len(arguments.model_dump_json().encode()))
        asked: Confirmation = await self._counted(caller, self._write(work, recover, turn, act.is_switch))
        return asked

    async def _turn(self, caller: Caller, act: AnyAct, size: int) -> Turn:
        """The turn of an act whose arguments have this size, if its member's rates allow it. Raises Refusal."""
        if act.is_switch and self.rates.may_overtake(caller):
            return Turn(caller.member, overtakes=True)
        try:
            self.rates.take_act(caller, size)
        except Refusal as refusal:
            if self.rates.is_news(caller):
                await self._leave_receipt(caller, act.name, refusal)
            raise
        return Turn(caller.member)

    async def _counted(self, caller: Caller, work: Awaitable[T]) -> T:
        """Do an act; a refusal counts against its member's rate of refused calls, and one for a pause is free."""
        try:
            return await work
        except Refusal as refusal:
            if refusal.code == "paused":
                self.rates.give_back(caller)
            self.rates.note_refusal(caller, refusal)
            raise

    def _recovery(self, caller: Caller, act: AnyAct) -> Callable[[Writing, Exception], Refusal]:
        """The function that runs after a refused act was undone: it records the receipt, and runs `also`."""

        def recover(tx: Writing, error: Exception) -> Refusal:
            if isinstance(error, TooLargeError):
                error = too_large(act.name, error)
            if not isinstance(error, Refusal):
                raise error
            if error.code not in UNRECORDED:
                error.receipt = record_refusal(tx, caller, act.name, error)
                error.head = log.head_of(tx)
                if error.also is not None:
                    error.also(tx)
            return error

        return recover

    async def read(self, caller: Caller, read: AnyRead, arguments: BaseModel) -> Any:
        """Read in one snapshot and return the reply. Raises Refusal, which leaves its receipt like an act's."""

        key = self._kept.key_of(read, arguments)

        def work(tx: Reading) -> tuple[Any, bool]:
            row = require_permitted(tx, caller, read.roles, read.while_paused)
            reply = self._kept.find(key, tx)
            if reply is None:
                reply = read.run(tx, caller_of(row), arguments)
                self._kept.keep(key, read, tx, reply)
            return reply, is_stale(tx, row)

        if read.counts_refusals:
            await self.write_refused_calls()
            self.rates.refused.note_shown()
        with Timed(self._metrics, "read", read.name):
            self.rates.require_care(caller)
            try:
                is_small = read.is_small(arguments) or self._kept.is_kept(key)
                self.on_waiting()
                answer = await self._kept.ask(caller, key)
                reply, is_due = await self._read(caller, read, is_small, work) if answer is None else answer
            except Refusal as refusal:
                self.rates.note_refusal(caller, refusal)
                await self._leave_receipt(caller, read.name, refusal)
                raise
        if is_due or read.after_read is not None:

            def afterwards(tx: Writing) -> None:
                admit(tx, caller, read.roles, read.while_paused)
                if read.after_read is not None:
                    read.after_read(tx, caller, arguments, reply)

            await self._write_after_read(caller, afterwards)
        return reply

    async def _read(self, caller: Caller, read: AnyRead, is_small: bool, work: Callable[[Reading], T]) -> T:
        """Run a read for a member. Raises Refusal."""
        self.on_waiting()
        reading = self._store.read(work, is_small, caller.member)
        try:
            return await (reading if is_small or self.on_lost is None else _while_connected(reading, self.on_lost))
        except QueueFullError:
            raise Refusal(
                "busy",
                "Too many reads of yours wait already.",
                "Wait for their answers, then call again.",
                retry_after_seconds=1,
            ) from None
        except ReadEndedError:
            await self.check(caller, read)
            raise Refusal("conflict", "The read was ended when you were stopped.", "Call again.") from None
        except TooLargeError as error:
            raise Refusal(
                "too_large",
                f"The answer takes too long to find: {error}.",
                read.narrow,
                subject=read.name,
            ) from None
        except StorageError as error:
            raise self.storage_refusal(error) from error

    def note_refused(self, caller: Caller, act: str, refusal: Refusal) -> None:
        """Count a refused call. If an agent repeats it, the refusal says so; the supervisor tells its owner once."""
        is_news = self.rates.refused.note(caller, act, refusal)
        self.on_refused(self._clock() + (0.0 if is_news else COUNTS_SECONDS))

    async def settle_refused(self) -> None:
        """Tell the owners of agents that repeat refused calls, and write how many calls were refused."""
        for caller, found in self.rates.refused.take_news():
            with contextlib.suppress(Refusal):
                await self.act_as_room(partial(tell_owner, caller=caller, found=found))
        await self.write_refused_calls()

    async def write_refused_calls(self) -> None:
        """Write how many calls were refused since this was done last; later if nothing can be written now."""
        refused = self.rates.refused
        if taken := refused.take():
            try:
                await self.act_as_room(lambda tx: write_counts(tx, taken, refused.rows))
            except Refusal:
                refused.put_back(taken)

    async def check(self, caller: Caller, read: AnyRead) -> None:
        """Check that a caller may read this now, before a push. Raises Refusal, which leaves no receipt."""
        self.on_waiting()
        try:
            await self._store.look_up(lambda tx: require_permitted(tx, caller, read.roles, read.while_paused))
        except StorageError as error:
            raise self.storage_refusal(error) from error

    async def _leave_receipt(self, caller: Caller, name: str, refusal: Refusal) -> None:
        if refusal.code in UNRECORDED:
            return

        def record(tx: Writing) -> None:
            refusal.receipt = record_refusal(tx, caller, name, refusal)
            refusal.head = log.head_of(tx)

        await self._write_after_read(caller, record)

    async def _write_after_read(self, caller: Caller, work: Callable[[Writing], None]) -> None:
        """Write what a read causes. If nothing can be written, the read still succeeds (SAF4)."""
        with contextlib.suppress(Refusal):
            await self._write(work, _reraise, Turn(caller.member))

    def storage_refusal(self, error: StorageError) -> Refusal:
        """The refusal for a failure of the store, with what to do about it."""
        return storage_refusal(error, self._restore_command)

    async def _write(
        self,
        work: Callable[[Writing], Any],
        recover: Callable[[Writing, Exception], Any],
        turn: Turn,
        when_full: bool = False,
    ) -> Any:
        self.on_waiting()
        try:
            result, _ = await self._store.write(work, recover, when_full, turn)
        except QueueFullError:
            raise Refusal(
                "busy",
                "The room's queue of acts is full.",
                "Call again in a second.",
                retry_after_seconds=1,
            ) from None
        except StorageError as error:
            raise self.storage_refusal(error) from error
        if isinstance(result, Refusal):
            try:
                raise result.with_traceback(None)  # which leads to the act, and from there to the refusal
            finally:
                del result  # this frame is in its traceback now: who refers to itself waits for garbage collection
        return result


class _RehearsedError(Exception):
    """Undoes a rehearsed act that was not refused."""


def _killed(row: TokenRow) -> UnauthorisedError:
    why = f"@{row.name} was killed by @{row.by_name}: {inline(row.reason or '')}."
    fix = f"Stop, and make no more calls. Tell the person who started you; only an owner can revive @{row.name}."
    return UnauthorisedError("killed", why, fix, by=row.by_name, reason=row.reason)


async def _while_connected(reading: Coroutine[Any, Any, T], on_lost: OnLost) -> T:
    """Wait for a read, which ends once the client is gone. Raises Refusal then, which nobody gets."""
    task = asyncio.ensure_future(reading)
    try:
        with on_lost(task.cancel):
            return await task
    except asyncio.CancelledError:
        this = asyncio.current_task()
        if this is not None and this.cancelling():
            raise
        raise Refusal("conflict", "The client has disconnected.", "Call again.") from None


def _reraise(tx: Writing, error: Exception) -> None:
    raise error
