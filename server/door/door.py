"""The one door: every act, every read and every refusal passes here.

An act is one write transaction on the writer's thread: the head is locked, the caller's token and its
standing at three levels are read, the act runs or is refused, its receipt is appended, and only after
the commit is anybody told. There is no cache of who may do what, so a pause binds the very next commit
and a resume the very next call. A read is one snapshot that includes the same check.
"""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from teamroom.server.acts.act import AnyAct, AnyRead, Reply, author
from teamroom.server.acts.presence.trouble import answered_for_itself, seen_again
from teamroom.server.clock import Clock, rfc3339
from teamroom.server.facts.standing import is_killed, require_active
from teamroom.server.identity import Caller, token_hash
from teamroom.server.metrics import Metrics
from teamroom.server.record import chain as room_log
from teamroom.server.refusals import UNRECORDED, Refusal
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.rules.text import said
from teamroom.server.store.engine import QueueFullError, Store
from teamroom.server.store.rows.control import RefusalRow, RequestRow
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import Principal, TokenRow
from teamroom.server.store.transaction import DamagedError, DiskFullError, Reading, StorageError, Writing

logger = logging.getLogger("teamroom.door")

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")

CLOSED_REFUSALS = 8
"""How many windows of counted refusals one refusal closes at most."""

DAMAGED_SECONDS = 600
"""When to call again a room that a person must restore first."""

FORGET_EVERY, FORGET_AT_ONCE = 256, 1024
"""Once in so many log numbers, so many remembered calls are forgotten whose time is over."""


class UnauthorisedError(Exception):
    """A bearer token that opens nothing. `code` is `killed` for a killed member, else `not_allowed`."""

    def __init__(self, code: str, why: str, fix: str) -> None:
        super().__init__(why)
        self.code, self.why, self.fix = code, why, fix


class Door:
    """Lets callers act and read, each in one transaction, or refuses them."""

    def __init__(self, store: Store, clock: Clock, metrics: Metrics, way_back: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._way_back = way_back

    def identify(self, token: str) -> Caller:
        """The caller behind a bearer token. Raises UnauthorisedError; says nothing about why a token fails."""
        row = self._store.look_up(lambda tx: tx.one(TokenRow, "token_by_hash", hash=token_hash(token)))
        if row is None or not _is_live(row, self._clock()):
            if row is not None and row.state == "killed":
                raise _killed(row)
            raise UnauthorisedError(
                "not_allowed",
                "This call carries no token that the room knows.",
                "Send the header Authorization: Bearer TOKEN, with a token from `teamroom enroll NAME`.",
            )
        if row.state == "killed":
            raise _killed(row)
        return _caller(row)

    def is_ready(self) -> bool:
        """Whether the store answers, and takes acts."""
        try:
            return self._store.is_writing and self._store.look_up(lambda tx: tx.one(ReadHead, "read_head")) is not None
        except StorageError:
            return False

    async def act(self, caller: Caller, act: AnyAct, arguments: BaseModel, request_id: str | None = None) -> Any:
        """Carry an act out, durably, and return its reply. Raises Refusal; nothing else of it stays then."""
        repeat = _repeat(act, arguments, request_id)

        def work(tx: Writing) -> Any:
            present = _admit(tx, caller, act.roles, act.while_paused)
            if repeat is None:
                return _carry_out(tx, present, act, arguments)
            if (reply := _replay(tx, present, act, repeat)) is None:
                reply = _carry_out(tx, present, act, arguments)
                _remember(tx, present, act, repeat, reply)
            return reply

        with self._timed("act", act.name) as timed:
            timed.reply = await self._write(work, self._recovery(caller, act), act.when_full)
            return timed.reply

    async def act_as_room(self, work: Callable[[Writing], T]) -> T:
        """Carry out what the room itself does, durably: nobody's standing binds it. Raises Refusal."""
        done: T = await self._write(work, _reraise)
        return done

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
                error.receipt = _record_refusal(tx, caller, act.name, error)
                if error.keep is not None:
                    error.keep(tx)
            return error

        return recover

    async def read(self, caller: Caller, read: AnyRead, arguments: BaseModel) -> Any:
        """Read in one snapshot and return the reply. Raises Refusal, which leaves its receipt like an act's."""

        def work(tx: Reading) -> tuple[Any, Any]:
            row = _principal(tx, caller)
            present = _check(tx, row, caller, read.roles, read.while_paused)
            return read.run(tx, present, arguments), row if _is_stale(tx, row) else None

        with self._timed("read", read.name):
            try:
                reply, stale = await self._store.read(work, read.is_small(arguments))
            except StorageError as error:
                raise self.storage_refusal(error) from error
            except Refusal as refusal:
                await self._leave_receipt(caller, read.name, refusal)
                raise
        if stale is not None or read.beside is not None:

            def beside(tx: Writing) -> None:
                if stale is not None:
                    _touch(tx, caller, stale)
                if read.beside is not None:
                    read.beside(tx, caller, arguments, reply)

            await self._write_beside(beside)
        return reply

    def check(self, caller: Caller, read: AnyRead) -> None:
        """Refuse who may not read this now. For what goes out unasked: it leaves no receipt. Raises Refusal."""
        try:
            self._store.look_up(lambda tx: _check(tx, _principal(tx, caller), caller, read.roles, read.while_paused))
        except StorageError as error:
            raise self.storage_refusal(error) from error

    def _timed(self, kind: str, name: str) -> "_Timed":
        return _Timed(self._metrics, kind, name)

    async def _leave_receipt(self, caller: Caller, name: str, refusal: Refusal) -> None:
        if refusal.code in UNRECORDED:
            return

        def record(tx: Writing) -> None:
            refusal.receipt = _record_refusal(tx, caller, name, refusal)

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
                "Nothing was changed. Only reads, pause, kill and resume go on. Tell your owner to make room on that "
                "disk, and call again later.",
                retry_after_seconds=30,
            )
        if isinstance(error, DamagedError):
            return Refusal(
                "storage",
                f"The room's database is damaged, so it is only read: {error}.",
                f"Nothing was changed. Tell your owner: {self._way_back()}",
                retry_after_seconds=DAMAGED_SECONDS,
            )
        logger.error("the store failed: %s", error)
        return Refusal(
            "storage",
            "The room cannot use its disk now.",
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
                "More acts are waiting than the room takes at once.",
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


def _killed(row: Any) -> UnauthorisedError:
    why = f"@{row.name} was killed by @{row.by_name}: {said(row.reason)}."
    return UnauthorisedError("killed", why, "Stop. Only an owner can revive this member.")


def _reraise(tx: Writing, error: Exception) -> None:
    raise error


# ------------------------------------------------------------------ who may, inside the transaction


def _principal(tx: Reading, caller: Caller) -> Any:
    return tx.one(Principal, "principal", token=caller.token_id)


def _admit(tx: Writing, caller: Caller, roles: frozenset[Any], while_paused: bool) -> Caller:
    """The caller as the store knows it now, if it may act. Notes that it called. Raises Refusal."""
    row = _principal(tx, caller)
    present = _check(tx, row, caller, roles, while_paused)
    if _is_stale(tx, row):
        _touch(tx, present, row)
    return present


def _carry_out(tx: Writing, caller: Caller, act: AnyAct, arguments: BaseModel) -> Any:
    """Run an act; what leaves a receipt is evidence of whom the room suspects."""
    trouble = tx.principal.trouble
    reply = act.run(tx, caller, arguments)
    is_new = reply.receipt is not None and reply.replayed is None
    if act.is_evidence and is_new and trouble in ("suspect", "zombie"):
        answered_for_itself(tx, caller)
    return reply


def _check(tx: Reading, row: Any, caller: Caller, roles: frozenset[Any], while_paused: bool) -> Caller:
    tx.caller_row = row
    if row is None or (not is_killed(row) and not _is_live(row, tx.now)):
        raise Refusal(
            "not_allowed", "Your token was revoked or has expired.", "Ask your owner for a new one, then call again."
        )
    require_active(tx, row, while_paused=while_paused)
    if row.role not in roles:
        raise Refusal(
            "not_allowed",
            f"Your role is {row.role}; this needs {' or '.join(sorted(roles))}.",
            "Ask an operator or the room's owner to do it.",
        )
    return _caller(row)


def _is_live(row: Any, now: float) -> bool:
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def _caller(row: Any) -> Caller:
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


def _is_stale(tx: Reading, row: Any) -> bool:
    """Whether presence is due to be written: at most once in `presence_write_seconds`, so reads stay reads."""
    last = row.last_call_at
    return last is None or not 0 <= tx.now - last < tx.settings.presence_write_seconds


def _touch(tx: Writing, caller: Caller, row: Any) -> None:
    gap = tx.settings.connected_intervals * (interval_seconds(row.mode, tx.settings) or 0.0)
    tx.run("touch_presence", member=caller.member, now=tx.now, gap_before=tx.now - gap)
    if row.last_call_at is None or row.trouble == "gone":
        seen_again(tx, caller, row.mode, row.trouble)


# ------------------------------------------------------------------ repeats


@dataclass(frozen=True, slots=True)
class Repeat:
    """Under what a call is remembered: the program's request id, or the call itself where equal calls are one."""

    key: str
    arguments: str
    request_id: str | None


def _repeat(act: AnyAct, arguments: BaseModel, request_id: str | None) -> Repeat | None:
    if request_id is None and not act.repeats:
        return None
    fingerprint = hashlib.sha256(arguments.model_dump_json().encode()).hexdigest()
    key = f"id:{request_id}" if request_id is not None else f"equal:{act.name}:{fingerprint}"
    return Repeat(key, fingerprint, request_id)


def _replay(tx: Writing, caller: Caller, act: AnyAct, repeat: Repeat) -> Any:
    """The first result of this very call, marked with its time, or None."""
    first = tx.one(RequestRow, "request", member=caller.member, key=repeat.key)
    if first is None or not first.at <= tx.now < first.until:
        return None
    if first.act != act.name or first.arguments != repeat.arguments:
        raise Refusal(
            "conflict",
            f"The request id {repeat.request_id} already stands for another call ({first.act}).",
            "Use a new request id for a new call.",
        )
    reply = act.reply.model_validate_json(first.reply)
    return reply.model_copy(update={"replayed": rfc3339(first.at)})


def _remember(tx: Writing, caller: Caller, act: AnyAct, repeat: Repeat, reply: Reply) -> None:
    kept = tx.settings.repeat_seconds if repeat.request_id is None else tx.settings.request_id_seconds
    tx.run(
        "remember_request",
        member=caller.member,
        key=repeat.key,
        act=act.name,
        arguments=repeat.arguments,
        reply=reply.remembered().model_dump_json(),
        at=tx.now,
        until=tx.now + kept,
    )
    if tx.head.seq % FORGET_EVERY == 0:
        tx.run("forget_requests", now=tx.now, limit=FORGET_AT_ONCE)


# ------------------------------------------------------------------ receipts of refusals


def _record_refusal(tx: Writing, caller: Caller, act: str, refusal: Refusal) -> int | None:
    """Leave the receipt of a refusal, or count it: equal ones within ten minutes are one (LOG2).

    It was a call all the same: whoever is refused is there.
    """
    row = _principal(tx, caller)
    if row is not None and not is_killed(row) and _is_live(row, tx.now) and _is_stale(tx, row):
        _touch(tx, caller, row)
    _close_windows(tx, caller)
    key = {"member": caller.member, "act": act, "code": refusal.code, "subject": refusal.subject}
    if (window := tx.one(RefusalRow, "refusal", **key)) is not None:
        tx.run("count_refusal", **key)
        return int(window.seq)
    if tx.number("count_refusals_since", member=caller.member, since=tx.now - 3600) >= tx.settings.refusals_per_hour:
        return None
    seq = room_log.append(
        tx,
        author(caller),
        act=act,
        subject=refusal.subject,
        outcome="refused",
        summary=f"@{caller.name} was refused {act} ({refusal.code})",
        detail={"code": refusal.code, "why": refusal.why},
    )
    tx.run("open_refusal", **key, now=tx.now, seq=seq)
    return seq


def _close_windows(tx: Writing, caller: Caller) -> None:
    before = tx.now - tx.settings.refusal_window_seconds
    for window in tx.all(RefusalRow, "stale_refusals", member=caller.member, before=before, limit=CLOSED_REFUSALS):
        act, code, subject = window.act, window.code, window.subject
        tx.run("close_refusal", member=caller.member, act=act, code=code, subject=subject)
        if window.repeats:
            room_log.append(
                tx,
                author(caller),
                act=act,
                subject=subject,
                outcome="refused",
                summary=f"@{caller.name} was refused {act} ({code}) {window.repeats} more times",
                detail={"code": code, "first": window.seq, "repeats": window.repeats},
            )
