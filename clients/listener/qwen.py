"""An open session of Qwen Code: each batch of wakes is a message into its inbox, and an idle session takes a turn.

Every session publishes a private record with the address of its socket. A message from a controller that its user
added is queued for the model without a review. The session reports on an inbox of ours what became of the message.
Qwen Code documents all of this as its cross-session protocol, version 1.
"""

import contextlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.driver import TurnEnd, Woken
from teamroom.clients.listener.movement import PROC, Clock, Movement, list_proc, list_ps
from teamroom.clients.listener.secret import Ids, random_id, read_secret
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.terminal import say
from teamroom.server.private import read_private

HOME = "QWEN_HOME"
"""The variable that names another folder than ~/.qwen."""

TOKEN = "TEAMROOM_QWEN_TOKEN"
"""The variable with the token of the controller, if no file is named."""

CONTROLLER = re.compile(r"qpc_[0-9a-f]{64}")

VERSION = 1
"""The version of the records and of the messages."""

SESSIONS = 1000
"""How many records are looked at."""

RECORD_NAME = re.compile(r"(\d+)(?:-[0-9a-f]{8})?\.json")

SEND_SECONDS, REPORT_SECONDS = 5.0, 10.0
"""How long a session may take to read a message, and to report what became of it."""

LINE_BYTES = 65_536
CALL_SECONDS = 300.0
"""How long after a message reached the model the agent may take until its first call."""

HELD = "held"
"""What a session reports of a message that its person has to release. Each further one is one more to release."""

OUTCOMES: Mapping[str, str] = {
    "denied": "its person refused the message",
    "refused": "the session takes no messages of others (agents.crossSessionInbound)",
    "expired": "the session ended before its model read the message",
    "misaddressed": "another session is open there now",
    "dropped": "its inbox is full",
}
"""What a session reports of a message that its model did not get."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open session, as its record says. `began`: tells its process from an earlier one with the same id."""

    process: int
    began: str
    id: str
    address: str
    started_at: float


class QwenSession:
    """The driver that wakes the newest open session of a folder."""

    turn = "Qwen Code's turn"
    program = "qwen"

    def __init__(self, token: str, folder: Path, home: Path, clock: Clock, make_id: Ids = random_id) -> None:
        """`home`: Qwen Code's own folder. `token`: of the controller that its user added."""
        self._token, self._folder, self._home = token, folder, home
        self._clock, self._make_id = clock, make_id
        self._movement: Movement | None = None
        self._held: tuple[str, int] | None = None
        """The session and the cursor of the wakes that it holds for its person."""

    @property
    def describes(self) -> str:
        """What a wake does."""
        return f"A wake goes to the open session of Qwen Code in {self._folder}"

    @property
    def movement(self) -> Movement | None:
        """The processes of the session."""
        return self._movement

    def begin(self, tasks: anyio.abc.TaskGroup, variables: Mapping[str, str]) -> None:
        """The person opens the session."""

    async def take_turn(self, batch: Batch, woken: Woken) -> TurnEnd:
        """Send the wakes to the session; returns once it reported that they are queued for its model.

        Wakes that it holds for its person are not sent to it again: the call is waited for, and nobody is woken yet.
        """
        session = await anyio.to_thread.run_sync(find_session, self._home, self._folder)
        if session is None:
            return TurnEnd(1, f"no session of Qwen Code is open in {self._folder}")
        if self._held == (session.id, batch.cursor):
            return self._wait_for_person(session, batch)
        async with open_inbox(self._make_id()) as inbox:
            message = self._message(batch, session, inbox)
            try:
                with anyio.fail_after(SEND_SECONDS):
                    await send(session.address, self._token, message)
            except (OSError, TimeoutError, anyio.BrokenResourceError) as error:
                return TurnEnd(1, f"the session of Qwen Code cannot be reached ({type(error).__name__})")
            outcome = await inbox.outcome_of(message["msgId"])
        if outcome == HELD:
            say(
                "teamroom: Qwen Code holds the message until its person releases it with /peers. Does the controller "
                "still exist?"
            )
            return self._wait_for_person(session, batch)
        self._held = None
        if outcome != "delivered":
            why = OUTCOMES.get(outcome, "it reported nothing: is the controller's token still valid?")
            return TurnEnd(1, f"Qwen Code did not take the wakes: {why}")
        self._movement = Movement(session.process, None, self._clock)
        woken(f"The session of Qwen Code (process {session.process}) takes a turn")
        return TurnEnd(0, "Qwen Code took the wakes", call_seconds=CALL_SECONDS)

    def _wait_for_person(self, session: Session, batch: Batch) -> TurnEnd:
        """Take wakes as given that the session holds for its person."""
        self._held, self._movement = (session.id, batch.cursor), None
        return TurnEnd(0, "Qwen Code holds the wakes for its person", call_seconds=CALL_SECONDS)

    async def end(self, seconds: float) -> None:
        """The session is its person's."""

    def _message(self, batch: Batch, session: Session, inbox: "Inbox") -> dict[str, Any]:
        return {
            "msgV": VERSION,
            "msgId": self._make_id(),
            "type": "user",
            "from": inbox.address,
            "replyToken": inbox.token,
            "fromName": "teamroom",
            "toSessionId": session.id,
            "priority": "next",
            "message": {"role": "user", "content": batch.line},
        }


# ------------------------------------------------------------------ sessions


def find_session(home: Path, folder: Path) -> Session | None:
    """Return the newest session that is open in a folder; None if there is none."""
    processes = list_proc() if (PROC / "self" / "stat").exists() else list_ps()
    here = os.path.realpath(folder)
    found = list[Session]()
    with contextlib.suppress(OSError):
        for path in sorted((home / "sessions").iterdir())[:SESSIONS]:
            session = _read(path, here)
            if session is not None and _is_alive(session, processes):
                found.append(session)
    return max(found, key=lambda one: one.started_at, default=None)


def _read(path: Path, here: str) -> Session | None:
    """Return the session of a record that can be messaged and is in this folder."""
    named = RECORD_NAME.fullmatch(path.name)
    if named is None:
        return None
    try:
        record = json.loads(read_private(path, folders=0))
        if record["schemaVersion"] != VERSION or record["pid"] != int(named[1]):
            return None
        if os.path.realpath(record["cwd"]) != here:
            return None
        id_, address = record["sessionId"], record["ipcPath"]
        if not isinstance(id_, str) or not isinstance(address, str):
            return None
        began = str(record.get("procStart") or "").rpartition(":")[2]
        return Session(int(named[1]), began, id_, address, float(record["startedAt"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_alive(session: Session, processes: Mapping[int, Any]) -> bool:
    process = processes.get(session.process)
    return process is not None and session.began in ("", process.began)


# ------------------------------------------------------------------ messages


async def send(address: str, token: str, message: Mapping[str, Any]) -> None:
    """Send a message to an inbox, and wait until it was read. Raises OSError."""
    lines = ({"msgV": VERSION, "type": "auth", "token": token}, message)
    async with await anyio.connect_unix(address) as stream:
        await stream.send("".join(json.dumps(line) + "\n" for line in lines).encode())
        await stream.send_eof()
        with contextlib.suppress(anyio.EndOfStream):
            await stream.receive()


class Inbox:
    """An inbox in which sessions report what became of messages. `token`: what they must present."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token
        self._outcomes: dict[str, str] = {}
        self._changed = anyio.Event()

    async def outcome_of(self, id_: str) -> str:
        """Wait for what became of a message; "" if nothing is reported in time."""
        with anyio.move_on_after(REPORT_SECONDS):
            while id_ not in self._outcomes:
                await self._changed.wait()
        return self._outcomes.get(id_, "")

    async def take(self, stream: anyio.abc.SocketStream) -> None:
        """Read the reports of one connection."""
        lines = BufferedByteReceiveStream(stream)
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound, ValueError,
                                     KeyError, TypeError, OSError, anyio.BrokenResourceError):  # fmt: skip
                first = json.loads(await lines.receive_until(b"\n", LINE_BYTES))
                if not secrets.compare_digest(str(first["token"]), self.token):
                    return
                report = json.loads(await lines.receive_until(b"\n", LINE_BYTES))
                if report["action"] == "delivery_status":
                    self._note(str(report["status"]), [report["origMsgId"], *(report.get("droppedMsgIds") or [])])

    def _note(self, status: str, ids: list[Any]) -> None:
        self._outcomes |= {str(id_): status for id_ in ids}
        self._changed.set()
        self._changed = anyio.Event()


@contextlib.asynccontextmanager
async def open_inbox(token: str) -> AsyncIterator[Inbox]:
    """An inbox on a socket in a private folder, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="teamroom-") as folder:
        inbox = Inbox(f"{folder}/inbox.sock", token)
        listener = await anyio.create_unix_listener(inbox.address, mode=0o600)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, inbox.take)
            yield inbox
            tasks.cancel_scope.cancel()


# ------------------------------------------------------------------ the controller


def qwen_home(environment: Mapping[str, str]) -> Path:
    """Return Qwen Code's own folder."""
    named = environment.get(HOME)
    return Path(named).expanduser().absolute() if named else Path.home() / ".qwen"


def read_controller(file: Path | None, environment: Mapping[str, str]) -> str:
    """Read the controller's token from a private file, else from the environment. Raises Failure."""
    add = "Run: qwen sessions controllers add --label teamroom"
    text = read_secret(file, environment, TOKEN)
    if text is None:
        raise Failure(
            "Qwen Code takes messages from a controller, and no token of one is given.",
            f"{add}. Then save the token in a private file, and name it with --secret-file, or set {TOKEN}.",
            USAGE,
        )
    found = CONTROLLER.search(text)
    if found is None:
        raise Failure("That is no token of a controller of Qwen Code.", f"{add}. It prints the token once.", USAGE)
    return found[0]
