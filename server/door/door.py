"""The one door: every act, every read and every refusal passes it.

An act is one write transaction. It locks the head, reads the caller's token and its standing at three levels, runs the
act or refuses it, and appends a receipt. Listeners are nudged after the commit. Nothing caches who may do what, so a
pause binds the very next commit and a resume the very next call. A read is one snapshot that includes the same check.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, AnyRead
from teamroom.server.acts.presence.trouble import clear_suspicion
from teamroom.server.clock import Clock
from teamroom.server.door.principal import find_principal, is_live, is_stale, touch
from teamroom.server.door.refused import record_refusal
from teamroom.server.door.repeats import remember, repeat_of, replay
from teamroom.server.facts.roles import Roles
from teamroom.server.facts.standing import is_killed, require_active
from teamroom.server.identity import Caller, token_hash
from teamroom.server.metrics import Metrics
from teamroom.server.record import chain as log
from teamroom.server.refusals import UNRECORDED, Refusal
from teamroom.server.rules.text import inline
from teamroom.server.store.engine import DamagedError, DiskFullError, QueueFullError, StorageError, Store
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import Principal, TokenRow
from teamroom.server.store.transaction import Reading, Writing

logger = logging.getLogger("teamroom.door")

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")

DAMAGED_SECONDS = 600
"""When to call again a room that a person must restore first."""


class UnauthorisedError(Exception):
    """A bearer token that opens nothing. `code` is `killed` for a killed member, else `not_allowed`."""

    def __init__(self, code: str, why: str, fix: str) -> None:
        super().__init__(why)
        self.code, self.why, self.fix = code, why, fix


class Door:
    """Lets callers act and read, each in one transaction, or refuses them."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics, restore_command: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._restore_command = restore_command

    async def identify(self, token: str) -> Caller:
        """The caller behind a bearer token. Raises UnauthorisedError; says nothing about why a token fails."""
        row = await self._store.look_up(lambda tx: tx.one(TokenRow, "token_by_hash", hash=token_hash(token)))
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
        return _caller(row)

    async def is_ready(self) -> bool:
        """Whether the store answers, and takes acts."""
        try:
            head = await self._store.look_up(lambda tx: tx.one(ReadHead, "read_head"))
            return self._store.is_writing and head is not None
        except StorageError:
            return False

    async def act(self, caller: Caller, act: AnyAct, arguments: BaseModel, request_id: str | None = None) -> Any:
        """Carry an act out, durably, and return its reply. Raises Refusal; nothing else of it stays then."""
        repeat = repeat_of(act, arguments, request_id)

        def work(tx: Writing) -> Any:
            present = _admit(tx, caller, act.roles, act.while_paused)
            if repeat is None:
                return _carry_out(tx, present, act, arguments)
            if (reply := replay(tx, present, act, repeat)) is None:
                reply = _carry_out(tx, present, act, arguments)
                remember(tx, present, act, repeat, reply)
            return reply

        with self._timed("act", act.name) as timed:
            timed.reply = await self._write(work, self._recovery(caller, act), act.when_full)
            return timed.reply

    async def act_as_room(self, work: Callable[[Writing], T]) -> T:
        """Carry out what the room itself does, durably: nobody's standing binds it. Raises Refusal."""
        done: T = await self._write(work, _reraise)
        return done

    async def act_for(self, caller: Caller, read: AnyRead, work: Callable[[Writing], T]) -> T:
        """Carry out what the room itself writes because of a call, unless the caller may not make it any more.

        The call is refused where it is made, so this leaves no receipt. Raises Refusal.
        """

        def admitted(tx: Writing) -> T:
            _check(tx, caller, read.roles, read.while_paused)
            return work(tx)

        return await self.act_as_room(admitted)

    async def rehearse(self, caller: Caller, act: AnyAct, arguments: BaseModel) -> None:
        """Try an act out and undo it: nothing is done, but what would be refused is refused. Raises Refusal."""
        recovered = self._recovery(caller, act)

        def work(tx: Writing) -> None:
            act.run(tx, _admit(tx, caller, act.roles, act.while_paused), arguments)
            raise _RehearsedError

        def recover(tx: Writing, error: Exception) -> Refusal | None:
            return None if isinstance(error, _RehearsedError) else recovered(tx, error)

        await self._write(work, recover, act.when_full)

    def _recovery(self, caller: Caller, act: AnyAct) -> Callable[[Writing, Exception], Refusal]:
        """What runs in place of an act that was refused: its receipt, and what it keeps."""

        def recover(tx: Writing, error: Exception) -> Refusal:
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

        def work(tx: Reading) -> tuple[Any, Any]:
            row = _check(tx, caller, read.roles, read.while_paused)
            return read.run(tx, _caller(row), arguments), row if is_stale(tx, row) else None

        with self._timed("read", read.name):
            try:
                reply, stale = await self._store.read(work, read.is_small(arguments))
            except StorageError as error:
                raise self.storage_refusal(error) from error
            except Refusal as refusal:
                await self._leave_receipt(caller, read.name, refusal)
                raise
        if stale is not None or read.after_read is not None:

            def beside(tx: Writing) -> None:
                if stale is not None:
                    touch(tx, caller, stale)
                if read.after_read is not None:
                    read.after_read(tx, caller, arguments, reply)

            await self._write_beside(beside)
        return reply

    async def check(self, caller: Caller, read: AnyRead) -> None:
        """Refuse who may not read this now. For what goes out unasked: it leaves no receipt. Raises Refusal."""
        try:
            await self._store.look_up(lambda tx: _check(tx, caller, read.roles, read.while_paused))
        except StorageError as error:
            raise self.storage_refusal(error) from error

    def _timed(self, kind: str, name: str) -> "_Timed":
        return _Timed(self._metrics, kind, name)

    async def _leave_receipt(self, caller: Caller, name: str, refusal: Refusal) -> None:
        if refusal.code in UNRECORDED:
            return

        def record(tx: Writing) -> None:
            refusal.receipt = record_refusal(tx, caller, name, refusal)
            refusal.head = log.head_of(tx)

        await self._write_beside(record)

    async def _write_beside(self, work: Callable[[Writing], None]) -> None:
        """Write down what goes with a read. A read goes on where nothing can be written (SAF4)."""
        with contextlib.suppress(Refusal):
            await self._write(work, _reraise)

    def storage_refusal(self, error: StorageError) -> Refusal:
        """The refusal of what the store could not do, with what its failure calls for."""
        if isinstance(error, DiskFullError):
            return Refusal(
                "storage",
                f"The room's disk is full ({error}).",
                "Nothing was changed. Only reads, pause, kill and resume work. Tell your owner to free space on that "
                "disk, and call again later.",
                retry_after_seconds=30,
            )
        if isinstance(error, DamagedError):
            return Refusal(
                "storage",
                f"The room's database is damaged, so the room is read-only: {error}.",
                f"Nothing was changed. Tell your owner: {self._restore_command()}",
                retry_after_seconds=DAMAGED_SECONDS,
            )
        logger.error("the store failed: %s", error)
        return Refusal(
            "storage",
            "The room cannot read or write its disk.",
            "Nothing was changed. Tell your owner to run `teamroom doctor`, and call again later.",
            retry_after_seconds=30,
        )

    async def _write(
        self, work: Callable[[Writing], Any], recover: Callable[[Writing, Exception], Any], when_full: bool = False
    ) -> Any:
        try:
            result, _ = await self._store.write(work, recover, when_full)
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
            raise result
        return result


class _RehearsedError(Exception):
    """An act that was tried out would have been carried out."""


class _Timed:
    """A call that is counted and timed, whatever its outcome."""

    __slots__ = ("_kind", "_metrics", "_name", "_started", "reply")

    def __init__(self, metrics: Metrics, kind: str, name: str) -> None:
        self._metrics, self._kind, self._name = metrics, kind, name
        self.reply: Any = None

    def __enter__(self) -> "_Timed":
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            outcome = "ok" if getattr(self.reply, "replayed", None) is None else "replayed"
        elif isinstance(error, Refusal):
            outcome = error.code
        else:
            outcome = "fault" if isinstance(error, Exception) else "left"
        self._metrics.call(self._kind, self._name, outcome, time.perf_counter() - self._started)


def _killed(row: TokenRow) -> UnauthorisedError:
    why = f"@{row.name} was killed by @{row.by_name}: {inline(row.reason or '')}."
    return UnauthorisedError("killed", why, "Stop. Only an owner can revive this member.")


def _reraise(tx: Writing, error: Exception) -> None:
    raise error


# ------------------------------------------------------------------ who may, inside the transaction


def _admit(tx: Writing, caller: Caller, roles: Roles, while_paused: bool) -> Caller:
    """The caller as the store knows it now, if it may act. Notes that it called. Raises Refusal."""
    row = _check(tx, caller, roles, while_paused)
    if is_stale(tx, row):
        touch(tx, caller, row)
    return _caller(row)


def _carry_out(tx: Writing, caller: Caller, act: AnyAct, arguments: BaseModel) -> Any:
    """Run an act; what leaves a receipt is evidence of whom the room suspects."""
    trouble = tx.principal.trouble
    reply = act.run(tx, caller, arguments)
    is_new = reply.receipt is not None and reply.replayed is None
    if is_new:
        reply.head = log.head_of(tx)
    if act.is_evidence and is_new and trouble in ("suspect", "zombie"):
        clear_suspicion(tx, caller)
    return reply


def _check(tx: Reading, caller: Caller, roles: Roles, while_paused: bool) -> Principal:
    """The caller's row, if it may act now and has one of the roles. Raises Refusal."""
    row = tx.caller_row = find_principal(tx, caller)
    if row is None or (not is_killed(row) and not is_live(row, tx.now)):
        raise Refusal(
            "not_allowed", "Your token was revoked or has expired.", "Ask your owner for a new one, then call again."
        )
    require_active(tx, row, while_paused=while_paused)
    if row.role not in roles:
        raise Refusal(
            "not_allowed",
            f"Your role is {row.role}; this call needs {' or '.join(sorted(roles))}.",
            "Ask an operator or a room owner to do it.",
        )
    return row


def _caller(row: Principal | TokenRow) -> Caller:
    return Caller(
        token_id=row.token,
        token_label=row.label,
        member=row.member,
        name=row.name,
        kind=row.kind,
        role=row.role,
        owner=row.owner,
        owner_name=row.owner_name,
    )
