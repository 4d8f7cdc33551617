"""The tree of the shell's commands. Each is built when it is looked up: all of them cost more than one command does."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import typer
import typer.main
import typer.models


class Tree(Mapping[str, Any]):
    """The commands and groups of an application by their names, in the order of help; `built` has those looked up."""

    def __init__(self, application: typer.Typer) -> None:
        self.built: dict[str, Any] = {}
        self._builders: dict[str, Callable[[], Any]] = {}
        for command in application.registered_commands:
            if command.callback is not None:
                name = command.name or typer.main.get_command_name(command.callback.__name__)
                self._builders[name] = partial(_build_command, command, application)
        for group in application.registered_groups:
            if group.typer_instance is not None:
                self._builders[str(group.typer_instance.info.name)] = partial(_build_group, group, application)

    def __getitem__(self, name: str) -> Any:
        if name not in self.built:
            self.built[name] = self._builders[name]()
        return self.built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._builders

    def __iter__(self) -> Iterator[str]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)


def _build_command(registered: typer.models.CommandInfo, application: typer.Typer) -> Any:
    return typer.main.get_command_from_info(
        registered,
        pretty_exceptions_short=application.pretty_exceptions_short,
        rich_markup_mode=application.rich_markup_mode,
    )


def _build_group(registered: typer.models.TyperInfo, application: typer.Typer) -> Any:
    return typer.main.get_group_from_info(
        registered,
        pretty_exceptions_short=application.pretty_exceptions_short,
        suggest_commands=application.suggest_commands,
        rich_markup_mode=application.rich_markup_mode,
    )


def command_tree(application: typer.Typer) -> Any:
    """Return the command that runs a command line of an application with a callback of its own."""
    bare = copy.copy(application)
    bare.registered_commands, bare.registered_groups = [], []
    root: Any = typer.main.get_command(bare)
    root.commands = Tree(application)
    return root
