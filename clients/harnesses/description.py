"""What a join knows about a harness: how it is found, which files it reads, and what belongs in them."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamroom.clients.harnesses.entries import SYNTAXES, Entry, Put, merge
from teamroom.clients.harnesses.files import repository_of
from teamroom.clients.harnesses.verified import in_words, verified

ENTRY = "teamroom"
"""The name of the room in every config."""


@dataclass(frozen=True)
class Machine:
    """Where a join looks: a folder, the user's home, and the environment."""

    folder: Path
    home: Path
    environment: Mapping[str, str]

    def config(self, *parts: str, variable: str = "") -> Path:
        """Return a file or folder of the user's, or the same below the folder that a variable names."""
        named = self.environment.get(variable, "") if variable else ""
        return Path(named, *parts[1:]) if named else self.home.joinpath(*parts)

    @property
    def xdg(self) -> Path:
        """The folder of users' configs."""
        return self.config(".config", variable="XDG_CONFIG_HOME")

    @property
    def project(self) -> Path:
        """The folder by which some harnesses know a project: that of the repository, if there is one."""
        return repository_of(self.folder / ".git") or Path(os.path.realpath(self.folder))

    def has_program(self, *names: str) -> bool:
        """Whether one of some programs is on the PATH."""
        return any(shutil.which(name, path=self.environment.get("PATH", "")) for name in names)


@dataclass(frozen=True)
class Seat:
    """A member that joins with a harness: who it is, where, and how this machine reaches its room.

    `program`: the words that run the shell. `url`: the room's address without a path; `is_far`: it was named, and the
    data folder does not lead to it. `token`: None until the member is enrolled.
    """

    name: str
    machine: Machine
    data: Path
    url: str
    is_far: bool
    is_unattended: bool
    program: tuple[str, ...]
    token: str | None = None

    @property
    def who(self) -> tuple[str, ...]:
        """The options that say which member a command is, and of which room."""
        far = ("--url", self.url) if self.is_far else ()
        return ("--as", self.name, "--data", str(self.data), *far)

    @property
    def bridge(self) -> list[str]:
        """The command that carries a client's standard input and output to the room. It needs no environment."""
        return [*self.program, "connect", *self.who]

    def stdio(self, **more: Any) -> dict[str, Any]:
        """Return the entry that most clients have for such a command."""
        command, *arguments = self.bridge
        return {"command": command, "args": arguments, **more}

    def server(self, key: str = "mcpServers", **more: Any) -> Put:
        """Return the room's entry in a client's list of servers."""
        return Put((key, ENTRY), self.stdio(**more))


@dataclass(frozen=True)
class ConfigFile:
    """A file that a join writes: entries in one syntax, or the whole `text` of a file that is ours alone.

    `holds_token`: it must be private, and in no repository.
    """

    path: Path
    syntax: str = "json"
    entries: tuple[Entry, ...] = ()
    text: str = ""
    holds_token: bool = False

    @property
    def alone(self) -> str:
        """The file as a join writes it where there is none."""
        return (self.text or merge(SYNTAXES[self.syntax], "", self.entries).text).strip()


@dataclass(frozen=True)
class Harness:
    """A harness or client, as data.

    `programs`: its commands. `homes`: what it leaves in the user's home. `marks`: what it leaves in a folder that it
    works in. `variables`: what it sets for the commands that it runs. `is_users`: it has one config for all folders,
    so that its identity is the same in each. `files`: what a join writes; None if it only prints.

    `wakes_open_session`: a hook that join writes wakes a session that a person has open. `run`: the command of one run
    for a wake, as a listener gets it; () if join knows none.

    `stops` and `wakes` say in a sentence what the room can do there, `notes` what the person should know or do, and
    `why` why its config is written as it is. `tried`: where that is from, for a harness that no test here runs.
    """

    key: str
    name: str
    snippet: Callable[[Seat], str]
    why: str
    stops: str
    wakes: str
    tried: str = ""
    files: Callable[[Seat], list[ConfigFile]] | None = None
    programs: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    is_users: bool = False
    is_chat: bool = False
    wakes_open_session: bool = False
    run: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def how_tried(self) -> str:
        """How its config was verified, in a few words."""
        found = verified(self.key)
        return self.tried if found is None else in_words(found)

    @property
    def is_woken(self) -> bool:
        """Whether join knows something that wakes it: a hook, or a command that a listener runs."""
        return self.wakes_open_session or bool(self.run)

    def is_on(self, machine: Machine) -> bool:
        """Whether a machine has this harness."""
        return machine.has_program(*self.programs) or any((machine.home / path).exists() for path in self.homes)

    def is_here(self, machine: Machine) -> bool:
        """Whether the harness works in this folder, or runs this process."""
        return any((machine.folder / path).exists() for path in self.marks) or any(
            machine.environment.get(name) for name in self.variables
        )
