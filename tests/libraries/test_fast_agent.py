"""A person in a real chat client: fast-agent on a terminal, with a model that only does what it is told."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.libraries.install import cache_folder, installed, python
from tests.support.promises import promise
from tests.support.raw import reply
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.terminals import ANSWER_SECONDS, Terminal, terminal
from tests.support.terminals import LACKING as TERMINAL_LACKING
from tests.support.watching import until

CLIENT = "fast-agent"
LACKING = [
    *([] if installed(CLIENT) else [f"make test-libraries installs {CLIENT} into {cache_folder()}"]),
    *TERMINAL_LACKING,
]

pytestmark = [
    promise("CTL7"),
    pytest.mark.libraries,
    pytest.mark.skipif(bool(LACKING), reason="; ".join(LACKING)),
]

START_SECONDS = 60.0
BELOW_PROMPT = 3
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"


@dataclass(frozen=True)
class Screen(Terminal):
    """The terminal of a chat client."""

    @property
    def is_ready(self) -> bool:
        """Whether an empty prompt is on one of the last lines: a line about the client can be below it."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return PROMPT in lines[-BELOW_PROMPT:]

    def write(self, text: str) -> None:
        """Type a line at the prompt, and press Enter once the terminal shows it."""
        until(lambda: self.is_ready, f"the prompt: {self.text[-500:]}", ANSWER_SECONDS)
        before = self.text.count(text[:30])
        self.tmux("send-keys", "-l", text)
        until(lambda: self.text.count(text[:30]) > before, f"{text!r} on the screen", ANSWER_SECONDS)
        self.keys("Enter")

    def call(self, tool: str, **arguments: object) -> None:
        """Have the model call a tool."""
        self.write(f"***CALL_TOOL {tool} {json.dumps(arguments)}")


def call(room: RoomInThread, member: str, tool: str, **arguments: object) -> dict[str, Any]:
    """The reply of a tool that a member calls without a chat client."""
    with room.modern(member) as client:
        return reply(client.call(tool, arguments))


@contextmanager
def chat(room: RoomInThread, folder: Path) -> Iterator[Screen]:
    """Olga's chat client at its prompt."""
    token = call(room, "olga", "enroll", name="olga", chat=True)["token"]
    program = python(CLIENT).with_name(CLIENT)
    command = [str(program), "go", "--url", f"http://127.0.0.1:{room.port}/mcp", "--auth", token]
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    with terminal([*command, "--model", "passthrough"], environment, folder) as shown:
        screen = Screen(shown.server)
        until(lambda: PROMPT in screen.text, "the prompt of the chat client", START_SECONDS)
        yield screen


def done_by_olga(room: RoomInThread) -> list[str]:
    """The acts that the log has of olga after her enrolments."""
    entries = call(room, "olga", "read_receipts", actor="olga")["receipts"]
    return [entry["act"] for entry in entries if entry["act"] != "enroll" and entry["outcome"] == "ok"]


def test_a_person_reads_posts_pauses_resumes_and_kills_from_a_chat_client(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room") as room:
        room.enroll("builder")
        call(room, "builder", "create_task", title="Rotate the keys")
        call(room, "builder", "request_decision", question="Deploy on a Friday?")
        with chat(room, tmp_path) as screen:
            screen.write("/prompts")
            screen.shows("stop-everything")
            assert "hand-over" not in screen.text
            numbered = re.search(r"\[\s*(\d+)\]\s+\S*catch-up", screen.text)
            assert numbered is not None
            screen.write(f"/prompt {numbered[1]}")
            screen.shows("wait for")
            screen.call("check_in")
            screen.shows("D-1")
            screen.call("read_board")
            screen.shows("Rotate the keys")
            screen.call("post_message", text="@builder which branch is it on?")
            screen.shows("'message': 'M-1'")
            screen.call("decide", decision="D-1", option="no", note="not on a Friday")
            screen.shows("Decide D-1 with")
            screen.keys("Enter")
            screen.shows("'answer': 'no'")
            screen.call("pause", target="builder", reason="looking into it")
            screen.shows("'standing': 'paused'")
            screen.call("resume", target="builder", reason="go on")
            screen.shows(r"Resume builder\?")
            screen.keys("Enter")
            screen.shows("'standing': 'active'")
            screen.call("kill", target="builder", reason="it went wrong")
            screen.shows("Kill @builder for good")
            screen.shows("Type the name builder")
            screen.tmux("send-keys", "-l", "builder")
            screen.keys("Tab")
            screen.keys("Enter")
            screen.shows("'standing': 'killed'")
        assert sorted(done_by_olga(room)) == ["decide", "kill", "pause", "post_message", "resume"]


def test_a_kill_without_the_typed_name_kills_nobody(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room") as room:
        room.enroll("builder")
        with chat(room, tmp_path) as screen:
            screen.call("kill", target="builder", reason="it went wrong")
            screen.shows("Type the name builder")
            screen.tmux("send-keys", "-l", "nobody")
            screen.keys("Tab")
            screen.keys("Enter")
            screen.shows("another name was typed")
        assert call(room, "olga", "who", name="builder")["members"][0]["standing"] == "active"
