"""Long-running programs and the doctor. Each is implemented in its own package."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from teamroom.clients.session.place import Place
from teamroom.clients.session.started import STARTED_BY, collect_garbage
from teamroom.clients.shell.app import Data, Json, bare, command, seconds
from teamroom.clients.shell.wording import with_commands

SECTION = "Programs"

NEED_COMMAND = {
    "command": "the command to run, such as -- claude -p {wake}; or an --adapter",
    "acp": "the words that start the agent, such as -- gemini --acp",
    "webhook": "the receiver's address, such as -- https://example.com/wake",
}
"""The adapters whose command or address nobody can guess, and what they need."""

STAYING = frozenset({"claude", "codex", "opencode", "acp"})
"""The adapters whose harness the listener keeps running."""

ELSEWHERE = frozenset({"qwen", "webhook"})
"""The adapters whose agent somebody else runs."""


@command("The room")
def doctor(
    place: Place,
    fix: Annotated[bool, typer.Option("--fix", help="Fix what is safe to fix.")] = False,
    drill: Annotated[bool, typer.Option("--drill", help="Also test the kill switch on a temporary member.")] = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="Also show every setting in force, and where its value comes from.")
    ] = False,
    wake: Annotated[
        str | None,
        typer.Option(
            "--wake",
            metavar="NAME",
            parser=bare,
            help="Only wake this agent, and say when it was seen to wake and act.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check the room, its data folder and this machine. Each problem has a fix."""
    from teamroom.clients.doctor.doctor import doctor

    raise typer.Exit(doctor(place, json, fix, drill, settings, wake, with_commands))


@command(SECTION)
def connect(
    place: Place,
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member to connect as.")],
) -> None:
    """Connect a client that speaks MCP only over stdio."""
    from teamroom.clients.bridge.connect import connect

    collect_garbage()
    failure = connect(place, name)
    raise typer.Exit(failure.exit_code if failure is not None else 0)


@command(SECTION)
def gate(
    harness: Annotated[str, typer.Option("--format", metavar="HARNESS", help="Whose hooks: claude, codex, gemini, …")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", parser=bare, help="The member that asks.")] = None,
    data: Data = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The room, if it is on no folder here.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="The file with the token.")
    ] = None,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Refuse the tool if the room cannot be asked.")
    ] = False,
) -> None:
    """Ask the room whether a harness may use a tool. A hook of the harness runs it, with its own input."""
    from teamroom.clients.gate.gate import main

    given = {"--format": harness, "--as": name, "--data": data, "--url": url, "--token-file": token_file}
    words = [f"{option}={value}" for option, value in given.items() if value is not None]
    raise typer.Exit(main([*words, *(["--unattended"] if unattended else [])]))


@command(SECTION)
def listen(
    place: Place,
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member to listen for.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- COMMAND…", help="The command to run. {wake} is replaced with the words: call check_in"
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Wait for one wake in a hook of a harness, and wake the harness.")
    ] = False,
    harness: Annotated[
        Literal["claude", "codex", "gemini", "qwen", "vibe"] | None,
        typer.Option("--format", metavar="HARNESS", help="Whose hook it is, with --once."),
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep running after the program that started it exits.")] = False,
    done: Annotated[
        Literal["call", "exit"] | None,
        typer.Option(
            "--done",
            metavar="call|exit",
            help="What answers a wake if the command exits with 0: a call to the room while it ran (default for "
            "agents), or its end.",
        ),
    ] = None,
    stop_on_pause: Annotated[
        bool, typer.Option("--stop-on-pause", help="A pause ends the command; it runs again after the resume.")
    ] = False,
    turn_limit: Annotated[
        float | None,
        typer.Option(
            "--turn-limit",
            metavar="SPAN",
            parser=seconds,
            help="How long a turn may last, such as 2h: then it is ended, and taken again. Default: a day.",
        ),
    ] = None,
    adapter: Annotated[
        Literal["command", "claude", "codex", "opencode", "acp", "qwen", "webhook"],
        typer.Option(
            "--adapter",
            metavar="HARNESS",
            help="What takes a turn for a wake: a command that runs each time, or claude, codex, opencode or acp: a "
            "harness that stays between turns; qwen: the open session of Qwen Code in this folder; or webhook: a "
            "receiver at the address after --.",
        ),
    ] = "command",
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="The session that the harness resumes first.")
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file", metavar="FILE", help="The private file with the secret of the webhook or of Qwen Code."
        ),
    ] = None,
    allow_room: Annotated[
        bool, typer.Option("--allow-room", help="Allow the harness the room's own tools if it asks.")
    ] = False,
) -> None:
    """Run a command, or a harness that stays, for an agent's wakes.

    A command gets them as JSON on standard input. A harness gets one line: teamroom listen --as NAME --adapter claude

    In a hook of a harness, wake the harness itself: teamroom listen --as NAME --once --format claude
    """
    if (wrong := _wrong_listener(adapter, once, harness, command or (), session is not None or allow_room)) is not None:
        raise typer.BadParameter(wrong)
    collect_garbage()
    if harness is not None:
        from teamroom.clients.listener.hooked import listen_once

        raise typer.Exit(listen_once(place, name, harness))
    from teamroom.clients.listener.adapters import driver_of, elsewhere
    from teamroom.clients.listener.listen import TURN_SECONDS, listen

    if adapter in ELSEWHERE:
        driver = elsewhere(adapter, command or (), secret_file, place.environment)
    else:
        driver = driver_of(adapter, command or (), name, session, allow_room)
    parent = None if stay else STARTED_BY
    limit = TURN_SECONDS if turn_limit is None else turn_limit
    raise typer.Exit(listen(place, name, driver, parent, done=done, stops_on_pause=stop_on_pause, turn_seconds=limit))


def _wrong_listener(
    adapter: str, once: bool, harness: str | None, command: Sequence[str], has_session_options: bool
) -> str | None:
    """Return what is wrong with the options of a listener; None if they fit."""
    if once or harness is not None:
        fits = once and harness is not None and not command and adapter == "command"
        return None if fits else "--once and --format belong together, without --adapter and without a command"
    if adapter in NEED_COMMAND and not command:
        return f"after the options, give {NEED_COMMAND[adapter]}"
    if has_session_options and adapter not in STAYING:
        return f"--session and --allow-room are for a harness that stays: --adapter {', '.join(sorted(STAYING))}"
    return None


@command(SECTION)
def watch(
    place: Place,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The config: the runtimes and how to start them.")
    ] = Path("runtimes.toml"),
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            parser=bare,
            help="The watchdog to run as. Its token must be saved in the data folder.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Run one round, then exit. For cron.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the config, and show what would be done.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print an example config.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also report what is healthy.")] = False,
    json: Json = False,
) -> None:
    """Restart failed runtimes on this machine. Also counts their listeners."""
    from teamroom.clients.watchdog import watch as watching
    from teamroom.clients.watchdog.runtimes import EXAMPLE

    collect_garbage()
    if example:
        print(EXAMPLE, end="")
    elif check:
        raise typer.Exit(watching.check(config, place.environment, json))
    else:
        raise typer.Exit(watching.watch(place, name, config, once, verbose, json))
