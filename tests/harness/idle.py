"""Open, idle sessions of real harnesses on a terminal, each with the hook with which the room wakes it."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.harnesses import RUN_SECONDS, Harness, Seat, surroundings
from tests.harness.install import binary, path_with
from tests.harness.joiners import QWEN_CODE
from tests.harness.room import TEAMROOM, RoomOfProcesses, stop
from tests.harness.script import Step
from tests.harness.scripted_model import ScriptedModel
from tests.harness.vendors import CLAUDE_CODE, CODEX
from tests.support.terminals import Terminal, terminal
from tests.support.watching import until

A_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Session:
    """How a harness opens a session that rests: what is in its files before, and the words of its command.

    `starts_itself`: it rests only after a first turn, which it begins by itself. `listener`: the words of the
    listener that runs beside it, once `is_open` says that the session can be woken; None if a hook of it listens.
    """

    harness: Harness
    prepare: Callable[[Seat, str], None]
    command: Callable[[Seat], list[str]]
    starts_itself: bool = False
    listener: Callable[[Seat], list[str]] | None = None
    is_open: Callable[[Seat], bool] = lambda seat: True


@dataclass(frozen=True)
class Open:
    """A session that is open: its terminal, its model and its place."""

    terminal: Terminal
    model: ScriptedModel
    seat: Seat


def _listener(format_: str, data: str) -> str:
    return f"{TEAMROOM} listen --as builder --data {data} --once --format {format_}"


def _prepare_claude(seat: Seat, data: str) -> None:
    project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    keys = {"approved": ["sk-ant-test"], "rejected": []}
    known = {"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": keys}
    (seat.home / ".claude.json").write_text(json.dumps({**known, "projects": {str(seat.folder): project}}))
    hook = {"type": "command", "command": _listener("claude", data), "asyncRewake": True, "timeout": A_DAY_SECONDS}
    hooks = {event: [{"hooks": [hook]}] for event in ("SessionStart", "Stop")}
    (seat.folder / ".claude").mkdir()
    settings = {"hooks": hooks, "permissions": {"allow": ["mcp__teamroom"]}}
    (seat.folder / ".claude" / "settings.local.json").write_text(json.dumps(settings))


def _claude(seat: Seat) -> list[str]:
    return [str(binary("claude")), "--mcp-config", str(seat.home / "mcp.json"), "--strict-mcp-config"]


def _prepare_codex(seat: Seat, data: str) -> None:
    folder = seat.home / ".codex"
    with (folder / "config.toml").open("a") as config:
        config.write(f'\n[projects."{seat.folder}"]\ntrust_level = "trusted"\n')
    hook = {"type": "command", "command": _listener("codex", data), "timeout": A_DAY_SECONDS}
    (folder / "hooks.json").write_text(json.dumps({"hooks": {"Stop": [{"hooks": [hook]}]}}))


def _codex(seat: Seat) -> list[str]:
    return [str(binary("codex")), "--dangerously-bypass-hook-trust", "Say hello."]


WITHOUT_SUGGESTIONS = {"ui": {"enableFollowupSuggestions": False}}
"""Qwen Code otherwise asks its model after each turn what its person could type next."""

CONTROLLER = "controller"
"""The file in a home with the token of a controller of Qwen Code."""


def _prepare_qwen(seat: Seat, data: str) -> None:
    """What `teamroom join qwen --unattended` writes of the server, and a controller."""
    bridge = {"command": TEAMROOM, "args": ["connect", "--as", "builder", "--data", data], "trust": True}
    (seat.home / ".qwen").mkdir(exist_ok=True)
    (seat.home / ".qwen" / "settings.json").write_text(
        json.dumps({"mcpServers": {"teamroom": bridge}, **WITHOUT_SUGGESTIONS})
    )
    added = subprocess.run(
        [str(binary("qwen")), "sessions", "controllers", "add", "--label", "teamroom"],
        env={**surroundings(seat), "PATH": path_with()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=True,
    )
    file = seat.home / CONTROLLER
    file.touch(mode=0o600)
    file.write_text(added.stdout)


def _qwen(seat: Seat) -> list[str]:
    return [str(binary("qwen")), "--auth-type", "openai"]


def _qwen_listener(seat: Seat) -> list[str]:
    return ["--adapter", "qwen", "--secret-file", str(seat.home / CONTROLLER)]


def _qwen_is_open(seat: Seat) -> bool:
    return any("ipcPath" in path.read_text() for path in (seat.home / ".qwen" / "sessions").glob("*.json"))


SESSIONS = (
    Session(CLAUDE_CODE, _prepare_claude, _claude),
    Session(CODEX, _prepare_codex, _codex, starts_itself=True),
    Session(QWEN_CODE, _prepare_qwen, _qwen, listener=_qwen_listener, is_open=_qwen_is_open),
)


@contextmanager
def opened(session: Session, room: RoomOfProcesses, base: Path, *steps: Step) -> Iterator[Open]:
    """An open session of the member builder, which rests and listens, until the block ends."""
    room.enroll("builder", "--save")
    token = (room.data / "members" / "builder.token").read_text().strip()
    seat = Seat(token, f"{room.url}/mcp", base / "home", base / "work")
    seat.home.mkdir()
    seat.folder.mkdir()
    with ScriptedModel(session.harness.api, steps) as model:
        launch = session.harness.launch(seat, model.url)
        session.prepare(seat, str(room.data))
        environment = {**surroundings(seat), **launch.environment}
        with terminal(session.command(seat), environment, seat.folder) as shown, contextlib.ExitStack() as beside:
            until(lambda: session.is_open(seat), f"it can be woken: {shown.text[-1500:]}", RUN_SECONDS)
            if session.listener is not None:
                beside.enter_context(_listening(session.listener(seat), seat, str(room.data)))
            until(lambda: is_listening(room), f"it listens: {shown.text[-1500:]}", RUN_SECONDS)
            yield Open(shown, model, seat)


@contextmanager
def _listening(words: list[str], seat: Seat, data: str) -> Iterator[None]:
    """A listener beside a session, until the block ends. What it says is in a log in the home."""
    command = [TEAMROOM, "listen", "--as", "builder", "--data", data, *words]
    with (seat.home / "listener.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=seat.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(seat.home)},
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield
        finally:
            stop(process)


def is_listening(room: RoomOfProcesses) -> bool:
    """Whether the builder has a live listener."""
    (member,) = room.owner("who", name="builder")["members"]
    return bool(member["listening"])
