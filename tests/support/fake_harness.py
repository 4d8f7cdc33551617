"""A harness for tests: `python fake_harness.py PROTOCOL FOLDER [WORD…]`.

It speaks the protocol of a real harness that stays, and takes its turns as the file `does` in a folder says. It notes
each turn, and what it was asked for and started with.
"""

import base64
import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

PACE_SECONDS = 0.02
SESSION = "s-1"

FOLDER, WORDS = Path(*sys.argv[2:3]), sys.argv[3:]

Json = dict[str, Any]


def does() -> str:
    """What the next turn does."""
    return (FOLDER / "does").read_text()


def has_forgotten() -> bool:
    """Whether this harness knows no session of an earlier one."""
    return (FOLDER / "starts").read_text() == "has forgotten"


def note(**facts: Any) -> None:
    """Note something for the test."""
    with (FOLDER / "notes").open("a") as file:
        file.write(json.dumps({"process": os.getpid(), **facts}) + "\n")


def call_room(variables: Json) -> None:
    """Call the room as the member."""
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "who", "arguments": {}, "_meta": envelope}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    headers = {
        "Authorization": "Bearer " + variables["TEAMROOM_TOKEN"],
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Mcp-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "who",
    }
    urllib.request.urlopen(urllib.request.Request(variables["TEAMROOM_URL"], body, headers)).read()


def cling() -> None:
    """Start a process that leaves the group, and note both; neither ends on SIGTERM."""
    ignores = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    )
    (FOLDER / "clings").touch()  # only the first thread may ignore a signal
    below = subprocess.Popen([sys.executable, "-c", ignores], stdout=subprocess.PIPE, start_new_session=True)
    assert below.stdout is not None
    below.stdout.readline()
    note(clings=below.pid)


def end_unless_it_clings(*_: Any) -> None:
    """End on SIGTERM, unless a turn clings."""
    if not (FOLDER / "clings").exists():
        os._exit(0)


def take_turn(line: str, variables: Json, began: Callable[[], None]) -> bool:
    """Take a turn; returns whether it ended well."""
    deed = does()
    note(line=line, does=deed, member=variables.get("TEAMROOM_AGENT"), words=WORDS)
    if deed == "is mute":
        wait_for_ever()
    if deed == "prints garbage":
        print("Warning: an update is there!\n{\n[]\n" + '"text"\n' + "x" * 100_000, flush=True)
    began()
    if deed == "dies":
        sys.stdout.flush()
        os._exit(3)
    if deed == "hangs":
        cling()
        wait_for_ever()
    while deed == "works" and does() == "works":
        time.sleep(PACE_SECONDS)
    if deed in ("calls", "prints garbage", "works"):
        call_room(variables)
    return deed != "fails"


def wait_for_ever() -> None:
    """Read nothing and say nothing."""
    while True:
        time.sleep(600)


def say(**message: Any) -> None:
    """Print a message."""
    print(json.dumps(message), flush=True)


# ------------------------------------------------------------------ the protocols


def claude() -> None:
    """Take turns as `claude -p` with streams of JSON does."""
    session = WORDS[WORDS.index("--resume") + 1] if "--resume" in WORDS else SESSION
    if "--resume" in WORDS and has_forgotten():
        sys.exit(1)
    for text in sys.stdin:
        message = json.loads(text)
        if message["type"] == "control_request":
            reply = {"subtype": "success", "request_id": message["request_id"]}
            note(asked=message["request"]["subtype"])
            say(type="control_response", response=reply)
            continue

        def began(message: Json = message) -> None:
            say(type="system", subtype="init", session_id=session)
            say(**message, session_id=session, isReplay=True)

        is_well = take_turn(message["message"]["content"], dict(os.environ), began)
        say(type="result", subtype="success" if is_well else "error_during_execution", is_error=not is_well)


def acp() -> None:
    """Take turns as an agent of ACP does. The room comes with the session, and no call is made without a permission."""
    variables: Json = {}
    for text in sys.stdin:
        message = json.loads(text)
        method, params = message.get("method"), message.get("params", {})
        if method == "initialize":
            reply: Json = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
        elif method in ("session/new", "session/load"):
            (server,) = params["mcpServers"]
            variables = {one["name"]: one["value"] for one in server["env"]}
            with socket.socket(socket.AF_UNIX) as told:
                told.connect(variables.pop("TEAMROOM_TOLD"))
            note(asked=method, bridge=server["args"], session=params.get("sessionId"))
            reply = {"sessionId": SESSION} if method == "session/new" else {}
            if method == "session/load" and has_forgotten():
                say(jsonrpc="2.0", id=message["id"], error={"code": -32603, "message": "No such session"})
                continue
        elif method == "session/prompt":
            reply = {"stopReason": prompt(params, variables)}
        else:
            note(asked=method)
            continue
        say(jsonrpc="2.0", id=message["id"], result=reply)


def prompt(params: Json, variables: Json) -> str:
    """Take a turn of ACP; returns why it stopped."""
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "…"}}

    def began() -> None:
        say(jsonrpc="2.0", method="session/update", params={"sessionId": SESSION, "update": update})

    if does() == "asks":
        for title, kind in (("check_in (teamroom MCP Server)", "other"), ("rm -rf /", "execute")):
            options = [{"optionId": kind, "kind": kind, "name": kind} for kind in ("allow_once", "reject_once")]
            question = {"sessionId": SESSION, "toolCall": {"title": title, "kind": kind}, "options": options}
            say(jsonrpc="2.0", id=f"q-{kind}", method="session/request_permission", params=question)
            note(title=title, answer=json.loads(sys.stdin.readline())["result"]["outcome"]["optionId"])
        say(jsonrpc="2.0", id="f", method="fs/read_text_file", params={"path": "/etc/passwd"})
        note(title="a file", answer=json.loads(sys.stdin.readline())["error"]["code"])
    return "end_turn" if take_turn(params["prompt"][0]["text"], variables, began) else "refusal"


def codex() -> None:
    """Take turns as `codex app-server` does."""
    count = 0
    for text in sys.stdin:
        message = json.loads(text)
        method, params = message.get("method"), message.get("params", {})
        if "id" not in message or method == "turn/interrupt":
            note(asked=method)
            continue
        if method != "turn/start":
            note(asked=method, session=params.get("threadId"))
            if method == "thread/resume" and has_forgotten():
                say(id=message["id"], error={"code": -32600, "message": "No such thread"})
                continue
            say(id=message["id"], result={"thread": {"id": params.get("threadId", SESSION)}})
            continue
        count += 1
        turn: Json = {"id": f"t-{count}", "status": "inProgress"}
        say(method="turn/started", params={"threadId": SESSION, "turn": {**turn, "id": "t-of-another"}})

        def began(turn: Json = turn) -> None:
            say(method="turn/started", params={"threadId": SESSION, "turn": turn})

        say(id=message["id"], result={"turn": turn})
        is_well = take_turn(params["input"][0]["text"], dict(os.environ), began)
        ended = {**turn, "status": "completed" if is_well else "failed"}
        say(method="turn/completed", params={"threadId": SESSION, "turn": ended})


class OpencodeServer(BaseHTTPRequestHandler):
    """Answers as `opencode serve` does. A prompt is a turn on the thread that answers it; events go to every stream."""

    streams: ClassVar["list[queue.Queue[Json]]"] = []

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Stream events, or show the session."""
        if not self.is_allowed():
            return
        if self.path != "/event":
            note(asked=self.path, session=self.path.rpartition("/")[2])
            self.answer(404 if has_forgotten() else 200, {"id": "ses_1"})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        events: queue.Queue[Json] = queue.Queue()
        self.streams.append(events)
        event: Json = {"type": "server.connected", "properties": {}}
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                event = events.get()
        self.streams.remove(events)

    def do_POST(self) -> None:
        """Make the session, take a prompt, or hear an answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "null")
        if not self.is_allowed():
            return
        if self.path == "/session":
            note(made="ses_1")
            self.answer(200, {"id": "ses_1"})
        elif self.path.endswith("/prompt_async"):
            self.answer(204, None)
            self.prompt(body["parts"][0]["text"])
        else:
            note(title=self.path, answer=body["reply"])
            self.answer(200, True)

    def prompt(self, line: str) -> None:
        """Take a turn."""
        self.tell("session.status", status={"type": "idle"})
        if does() == "asks":
            for permission in ("teamroom_check_in", "bash"):
                self.tell("permission.asked", id=f"per_{permission.replace('_', '')}", permission=permission)
        is_well = take_turn(line, dict(os.environ), lambda: self.tell("session.status", status={"type": "busy"}))
        if not is_well:
            self.tell("session.error", error={"name": "APIError"})
        self.tell("session.idle")

    def tell(self, kind: str, **facts: Any) -> None:
        """Send an event of the session, after one of another."""
        for events in list(self.streams):
            events.put({"type": "session.idle", "properties": {"sessionID": "ses_of_another"}})
            events.put({"type": kind, "properties": {"sessionID": "ses_1", **facts}})

    def is_allowed(self) -> bool:
        """Whether the caller knows the password; a stranger is refused."""
        wanted = base64.b64encode(f"opencode:{os.environ['OPENCODE_SERVER_PASSWORD']}".encode()).decode()
        if self.headers["Authorization"] == f"Basic {wanted}":
            return True
        self.answer(401, None)
        return False

    def answer(self, status: int, body: Any) -> None:
        """Answer with JSON."""
        text = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def opencode() -> None:
    """Take turns as `opencode serve` does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), OpencodeServer)
    print(f"opencode server listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def main() -> None:
    """Start as the file `starts` says, and take turns until standard input ends."""
    signal.signal(signal.SIGTERM, end_unless_it_clings)
    starts = (FOLDER / "starts").read_text()
    note(starts=starts)
    if starts == "exits":
        sys.exit(7)
    if starts == "is mute":
        print("Downloading a model\n" * 3, flush=True)
        wait_for_ever()
    {"claude": claude, "codex": codex, "opencode": opencode, "acp": acp}[sys.argv[1]]()


if __name__ == "__main__":
    main()
