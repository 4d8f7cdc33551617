"""The shell's application, and the arguments and options that several commands share.

Each command is one function in a file of this package, next to what it prints. `main` loads every file. A command
imports heavy modules only when it runs, so that the other commands start fast.
"""

import os
import shlex
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from teamroom import __version__
from teamroom.clients.session.place import Place, check_person
from teamroom.clients.session.program import own_name
from teamroom.clients.session.terminal import say
from teamroom.clients.shell.guesses import find_guess, in_words, nearest_commands
from teamroom.server.rules.names import AT
from teamroom.server.rules.spans import SPANS, parse_span

F = TypeVar("F", bound=Callable[..., Any])

SECTIONS = (
    "The room",
    "Members",
    "The switch",
    "Messages",
    "Work",
    "Decisions",
    "What happened",
    "Capabilities",
    "The record",
    "Programs",
    "The shell",
)
"""The headings of the help, in order. Each command names its own."""

VERSION = "--version"


class Commands(TyperGroup):
    """The commands, which the help lists by section. A word that people guess leads to the command that is meant."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, of which none is built for that."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that a command line names, and its own arguments."""
        word, *given = args
        commands = self.list_commands(ctx)
        if word.startswith("-") or word.casefold() in commands:
            return super().resolve_command(ctx, [word.casefold(), *given])
        guess = find_guess(word, commands)
        if guess is None:
            return ctx.fail(_not_known(word, given, nearest_commands(word, commands)))
        if not guess.runs:
            return ctx.fail(in_words(word, guess, given, own_name()))
        if guess.runs == (VERSION,):
            show_version(True)
        say(f"(`{word}` is `{own_name()} {shlex.join(guess.runs)}`)")
        return super().resolve_command(ctx, [*guess.runs, *given])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list for each section that has commands."""
        commands = {name: command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))}
        widest = max(map(len, commands))
        titles = dict.fromkeys((*SECTIONS, *(_section(command) for command in commands.values())))
        for title in titles:
            here = [(name, command) for name, command in commands.items() if _section(command) == title]
            room = formatter.width - 6 - widest
            rows = [(name.ljust(widest), command.get_short_help_str(room)) for name, command in here]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _not_known(word: str, given: list[str], near: list[str]) -> str:
    """Return what to say of a word that is no command: the same line with the nearest commands."""
    lines = [f"{word!r} is not a command."]
    lines[0] += " You may mean:" if near else f" To see the commands, run: {own_name()} help"
    lines += [f"  {own_name()} {shlex.join([one, *given])}" for one in near]
    return "\n".join(lines)


def _section(command: Any) -> str:
    return str(getattr(command, "rich_help_panel", ""))


class Command(TyperCommand):
    """A command whose help names its arguments without Python types."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments and options. Raises BadParameter, which says in plain words what is wrong with a value."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if (found := getattr(error.__cause__, "errors", None)) is not None:
                from teamroom.server.rules.wrong_values import say_wrong

                error.message = say_wrong(found()[0])
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line, with optional arguments in brackets."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        names = [str(one.metavar) if one.required else f"[{one.metavar}]" for one in arguments]
        return [str(self.options_metavar), *names]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments that have a help text, then the options."""
        parameters = self.get_params(ctx)
        arguments = [one for one in parameters if one.param_type_name == "argument"]
        options = [record for one in parameters if one not in arguments and (record := one.get_help_record(ctx))]
        described = [(str(one.metavar), text) for one in arguments if (text := getattr(one, "help", None))]
        for title, rows in (("Arguments", described), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="teamroom",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def show_version(is_asked: bool) -> None:
    """Print the version and end, if that was asked for."""
    if is_asked:
        print(f"teamroom {__version__}")
        raise typer.Exit


def install_completion(is_asked: bool) -> None:
    """Turn completion on in the user's shell and end, if that was asked for."""
    if is_asked:
        from teamroom.clients.shell import help

        check_person(os.environ, "change a shell's start file")
        help.install_completion(Path.home(), os.environ.get("SHELL", ""))
        raise typer.Exit


@app.callback()
def every_command(
    version: Annotated[
        bool, typer.Option(VERSION, "-V", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
    completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=install_completion,
            is_eager=True,
            help="Turn completion on in your shell, with one line in its start file.",
        ),
    ] = False,
) -> None:
    """The room that long-running agents share with the people who answer for them."""


def command(section: str, name: str | None = None, group: typer.Typer | None = None) -> Callable[[F], F]:
    """Register a function as a command of the shell, in a section of the help, by default under its own name.

    A function with a `place` parameter gets the options `--data`, `--url` and `--token-file` for it. With `group`, it
    is a subcommand of that one.
    """

    def register(work: F) -> F:
        register_here = (group or app).command(name, cls=Command, rich_help_panel=section)
        register_here(_with_place(work) if "place" in signature(work).parameters else work)
        return work

    return register


def _with_place(work: Callable[..., Any]) -> Callable[..., Any]:
    """Replace `place` by its options, which follow the function's own and precede `--json`."""

    @wraps(work)
    def run(data: Path | None, url: str | None, token_file: Path | None, **arguments: Any) -> Any:
        return work(place=Place(data, url, token_file), **arguments)

    given = [one for one in signature(work, eval_str=True).parameters.values() if one.name != "place"]
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in (("data", Data), ("url", Url), ("token_file", TokenFile))
    ]
    own, last = [one for one in given if one.name != "json"], [one for one in given if one.name == "json"]
    parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in (*own, *options, *last)]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


# ------------------------------------------------------------------ arguments and options


def seconds(text: str) -> float:
    """Convert a span that a person typed to seconds."""
    found = parse_span(text)
    if found is None:
        raise typer.BadParameter(f"write it {SPANS}")
    return found


def typed_span(text: str) -> str:
    """Check a span that a person typed, and return it as it was typed."""
    seconds(text)
    return text


def typed_seconds(text: str) -> str:
    """Return a span that a person typed as the room takes it, in seconds; any other text as it is."""
    found = parse_span(text)
    return text if found is None else f"{found:.0f}"


def bare(name: str) -> str:
    """Remove the @ that people put before a name."""
    return name.lstrip(AT)


SPAN = "SPAN"
"""How help names a span of time."""


def span(*names: str, help: str) -> Any:
    """Define an option that takes a span of time."""
    return typer.Option(*names, metavar=SPAN, parser=seconds, help=help)


Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The room's data folder (or set TEAMROOM_DATA).")
]
Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The address of the room (or set TEAMROOM_URL).")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="The file with your token (or set TEAMROOM_TOKEN).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Span = float | None
Name = Annotated[str, typer.Argument(parser=bare, metavar="NAME", help="The member's name.")]
Target = Annotated[
    str,
    typer.Argument(parser=bare, metavar="TARGET", help="A member's name, owner:NAME for that owner's agents, or room."),
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Show each change until Ctrl-C. A restart of the room is waited for.")
]
After = Annotated[int | None, typer.Option("--after", metavar="N", min=0, help="Show only entries after this number.")]
