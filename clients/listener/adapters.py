"""The drivers that a listener can have, by the name of their harness."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from teamroom.clients.listener.acp import Acp
from teamroom.clients.listener.claude import Claude
from teamroom.clients.listener.codex import Codex
from teamroom.clients.listener.command import Command, check_command
from teamroom.clients.listener.driver import Driver
from teamroom.clients.listener.movement import Clock
from teamroom.clients.listener.opencode import Opencode
from teamroom.clients.listener.qwen import QwenSession, qwen_home, read_controller
from teamroom.clients.listener.supervised import Harness, Supervised
from teamroom.clients.listener.webhook import Webhook, read_key
from teamroom.clients.session.failure import USAGE, Failure

COMMANDS = {"claude": ("claude",), "codex": ("codex",), "opencode": ("opencode",)}
"""How each harness is started if nothing else is said."""


def elsewhere(
    adapter: str,
    words: Sequence[str],
    secret_file: Path | None,
    environment: Mapping[str, str],
    clock: Clock = time.monotonic,
) -> Driver:
    """Return the driver of an agent that somebody else runs: a webhook's, or an open session of Qwen Code.

    Raises Failure if it has no secret, or no address.
    """
    if adapter == "webhook":
        if len(words) != 1:
            raise Failure(
                "A webhook has one address.", "Write it after --, such as: -- https://example.com/wake", USAGE
            )
        return Webhook(words[0], read_key(secret_file, environment), time.time)
    if words:
        raise Failure("An open session of Qwen Code is started by its person.", "Leave out the command.", USAGE)
    return QwenSession(read_controller(secret_file, environment), Path.cwd(), qwen_home(environment), clock)


def driver_of(
    adapter: str,
    command: Sequence[str],
    member: str,
    session: str | None = None,
    allows_room: bool = False,
    clock: Clock = time.monotonic,
) -> Driver:
    """Return the driver of a harness. Raises Failure if there is no such command."""
    command = command or COMMANDS[adapter]
    check_command(command)
    if adapter == "command":
        return Command(command, clock)
    harnesses: dict[str, Harness] = {
        "claude": Claude(allows_room),
        "codex": Codex(allows_room),
        "opencode": Opencode(allows_room),
        "acp": Acp(Path(command[0]).name, member, allows_room),
    }
    return Supervised(harnesses[adapter], command, clock, session)
