"""Help, and the completion of commands, options and names in bash, zsh and fish."""

import contextlib
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place, token
from teamroom.clients.session.program import named_options, own_name
from teamroom.clients.session.terminal import is_terminal, plain, say
from teamroom.clients.shell.app import command
from teamroom.clients.shell.colours import STATES
from teamroom.server.rules.text import one_line

SECTION = "The shell"

Shell = Literal["bash", "zsh", "fish"]

ROSTER_SECONDS = 1.0
"""How long a completion waits for the names of the members."""

MEMBERS = frozenset({"NAME", "TARGET"})
"""What arguments and options are called that take a member's name."""

OF_A_NEW_MEMBER = frozenset({("enroll", "name"), ("policy", "name"), ("up", "owner")})
"""Those of them that take the name of a member that does not exist yet, or another name."""

CHOICES: dict[str, tuple[str, ...]] = {
    "role": ("member", "owner", "operator", "watchdog", "observer"),
    "mode": ("live", "every:600", "on_demand", "manual"),
    "state": (*STATES, "all"),
    "done": ("call", "exit"),
    "shell": ("bash", "zsh", "fish"),
    "action": ("install", "uninstall"),
    "verdict": ("accept", "send-back"),
    "only": ("board", "log"),
    "review": ("auto", "none"),
}
"""The values of arguments and options that take one of a few words, by their names."""

CHOICES_OF: dict[tuple[str, str], tuple[str, ...]] = {
    ("enroll", "kind"): ("agent", "human"),
    **dict.fromkeys((("post", "kind"), ("reply", "kind")), ("note", "report", "ask", "alert")),
}
"""Those of arguments and options whose values differ by command."""

TASKS, MESSAGES, DECISIONS, IDS, ENTRIES = "TASK", "MESSAGE", "DECISION", "ID", "ENTRY"
"""How arguments and options are called that take an id: of a task, a message, a decision, all these, or an entry."""

STATE_FOR = {"review": "in_review", "claim": "open"}
"""The state of the tasks that a command is for; others are for all unfinished tasks."""

ABOUT_CHARACTERS = 60
"""How much of a title or a message a completion shows."""

BASH = """\
_teamroom() {{
    local IFS=$'\\n' cur="${{COMP_WORDS[COMP_CWORD]}}"
    COMPREPLY=($(compgen -W "$({program} completion bash -- "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null)" -- "$cur"))
}}
complete -o default -F _teamroom teamroom
"""

ZSH = """\
#compdef teamroom
_teamroom() {{
    local -a found
    found=("${{(@f)$({program} completion zsh -- "${{(@)words[2,CURRENT]}}" 2>/dev/null)}}")
    [[ -n "$found" ]] && _describe teamroom found || _files
}}
compdef _teamroom teamroom
"""

FISH = """\
complete -c teamroom -f -a "({program} completion fish -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)"
"""

SCRIPTS: dict[Shell, tuple[str, str]] = {
    "bash": (BASH, 'Add this line to ~/.bashrc: eval "$({program} completion bash)"'),
    "zsh": (ZSH, 'Add this line to ~/.zshrc, after compinit: eval "$({program} completion zsh)"'),
    "fish": (FISH, "Run: {program} completion fish > ~/.config/fish/completions/teamroom.fish"),
}
"""The script of each shell, and where a person puts it."""


@command(SECTION)
def help(
    context: typer.Context,
    name: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="The command. Default: list all.")] = None,
) -> None:
    """Show the commands, or the arguments and options of one."""
    found: Any = context.parent
    words = list(name or ())
    while words and hasattr(found.command, "commands"):
        found_name, command, words = found.command.resolve_command(found, words)
        found = type(found)(command, info_name=found_name, parent=found)
    print(found.get_help())


@command(SECTION)
def completion(
    context: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- WORDS…", help="What was typed so far. Prints what may come next instead."),
    ] = None,
) -> None:
    """Print the script for completion in your shell."""
    if words:
        group: Any = context.parent
        for value, about in _candidates(group.command, group, words):
            print(_written(value, about, shell))
        return
    script, where = SCRIPTS[shell]
    if is_terminal():
        say(where.format(program=own_name()))
    print(script.format(program=own_name()), end="")


def _written(value: str, about: str, shell: Shell) -> str:
    """Return a candidate as the shell's script reads it."""
    match shell:
        case "bash":
            return value
        case "zsh":
            return value.replace(":", "\\:") + (f":{plain(about)}" if about else "")
        case "fish":
            return f"{value}\t{plain(about)}"


# ------------------------------------------------------------------ what may come next


def _candidates(group: Any, context: Any, words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what may stand in place of the last word, each with what it is for."""
    *before, current = words
    if not before:
        named = ((name, group.get_command(context, name)) for name in group.list_commands(context))
        found = [(name, one.get_short_help_str(100)) for name, one in named]
        found += _options(group, context)
    elif (one := group.get_command(context, before[0])) is None or "--" in before:
        return
    elif hasattr(one, "commands"):
        yield from _candidates(one, context, words[1:])
        return
    else:
        found = _next(one, context, before, current)
    yield from ((value, about) for value, about in found if value.startswith(current))


def _next(command: Any, context: Any, before: list[str], current: str) -> list[tuple[str, str]]:
    """Return what may follow the words of one command: the value of an option, an option, or an argument."""
    parameters = command.get_params(context)
    options = {name: one for one in parameters if one.param_type_name == "option" for name in one.opts}
    last = options.get(before[-1])
    if last is not None and not getattr(last, "is_flag", False) and not getattr(last, "count", False):
        return _values(command, last, before)
    if current.startswith("-"):
        return _options(command, context)
    given = [word for word, prior in zip(before[1:], before, strict=False)
             if not word.startswith("-") and not _takes_value(options.get(prior))]  # fmt: skip
    arguments = [one for one in parameters if one.param_type_name == "argument"]
    if not arguments:
        return _options(command, context)
    return _values(command, arguments[min(len(given), len(arguments) - 1)], before)


def _takes_value(option: Any) -> bool:
    return option is not None and not getattr(option, "is_flag", False)


def _options(command: Any, context: Any) -> list[tuple[str, str]]:
    found = (one for one in command.get_params(context) if one.param_type_name == "option")
    return [
        (name, str(getattr(one, "help", None) or "")) for one in found for name in one.opts if name.startswith("--")
    ]


def _values(command: Any, parameter: Any, before: list[str]) -> list[tuple[str, str]]:
    """Return the values of a parameter that are known: choices, commands, members and ids."""
    choices = CHOICES_OF.get((command.name, parameter.name)) or CHOICES.get(parameter.name)
    if choices is not None:
        return [(choice, "") for choice in choices]
    metavar = str(parameter.metavar)
    if (command.name, parameter.name) == ("decide", "option"):
        return _ask_room(before, partial(_options_of, before[-1]))
    if metavar in (TASKS, MESSAGES, DECISIONS, IDS):
        return _ask_room(before, partial(_ids, metavar, STATE_FOR.get(command.name)))
    if metavar == ENTRIES:
        return _ask_room(before, _authorizations)
    if metavar == "ZONE":
        from zoneinfo import available_timezones

        return [(zone, "") for zone in sorted(available_timezones())]
    if command.name == "handoff" and parameter.name == "to" and before[-1].upper().startswith("O-"):
        return [("accept", ""), ("decline", "")]
    if metavar in MEMBERS and (command.name, parameter.name) not in OF_A_NEW_MEMBER:
        rest = [("room", "all agents")] if metavar == "TARGET" else []
        return _members(before) + rest
    return []


def _unquoted(word: str) -> str:
    """Return a word as a shell reads it; as it was typed if its quotation is not complete."""
    with contextlib.suppress(ValueError):
        return " ".join(shlex.split(word))
    return word


def _members(before: list[str]) -> list[tuple[str, str]]:
    """Return the members of the room that the command line names."""
    return _ask_room(
        before,
        lambda room: [(str(one["name"]), f"{one['role']}, {one['presence']}") for one in room.call("who")["members"]],
    )


def _ids(metavar: str, state: str | None, room: BlockingRoom) -> list[tuple[str, str]]:
    """Return ids of the room, each with a title or a line: tasks, the newest messages, open decisions, or all of these.

    The offers to the caller are among the latter.
    """
    found = list[tuple[str, str]]()
    if metavar in (DECISIONS, IDS):
        decisions = room.read("teamroom://decisions")["decisions"]
        found += [(str(one["decision"]), one_line(one["question"], ABOUT_CHARACTERS)) for one in decisions]
    if metavar in (TASKS, IDS):
        tasks = room.call("read_board", state=state)["tasks"]
        found += [(str(one["task"]), one_line(one["title"], ABOUT_CHARACTERS)) for one in tasks]
    if metavar in (MESSAGES, IDS):
        messages = room.call("read_messages")["messages"]
        found += [
            (str(one["id"]), one_line(f"@{one['author']}: {one['summary']}", ABOUT_CHARACTERS))
            for one in reversed(messages)
        ]
    if metavar == IDS:
        offers = room.read("teamroom://inbox")["offers"]
        found += [(str(one["offer"]), one_line(f"{one['task']} {one['title']}", ABOUT_CHARACTERS)) for one in offers]
    return found


def _authorizations(room: BlockingRoom) -> list[tuple[str, str]]:
    """Return the entries that are in force, the newest first, each with whom it lets do what."""
    entries = {
        str(one["authorization"]): one_line(f"{one['to']} {one['scope']}", ABOUT_CHARACTERS)
        for member in room.call("who")["members"]
        for one in member["authorizations"]
    }
    return sorted(entries.items(), key=lambda entry: int(entry[0].partition("-")[2]), reverse=True)


def _options_of(decision: str, room: BlockingRoom) -> list[tuple[str, str]]:
    """Return the numbers of a decision's options, each with what it says."""
    options = room.read(f"teamroom://decisions/{decision.upper()}")["decisions"][0]["options"]
    return [(str(number), one_line(words, ABOUT_CHARACTERS)) for number, words in enumerate(options, 1)]


def _ask_room(before: list[str], ask: Callable[[BlockingRoom], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Return what the room that the command line names answers; nothing if it does not answer at once."""
    given = named_options(list(map(_unquoted, before)))
    data, file = (Path(given[name]) if name in given else None for name in ("--data", "--token-file"))
    place = Place(data, given.get("--url"), file)
    with (
        contextlib.suppress(Failure, OSError),
        BlockingRoom(place.endpoint, token(place), ROSTER_SECONDS, socket_folder=place.socket_folder) as room,
    ):
        return ask(room)
    return []


# ------------------------------------------------------------------ installing it

START_FILES: dict[Shell, tuple[str, str]] = {
    "bash": (".bashrc", 'eval "$({program} completion bash)"'),
    "zsh": (".zshrc", 'autoload -Uz compinit && compinit && eval "$({program} completion zsh)"'),
    "fish": (".config/fish/completions/teamroom.fish", "{program} completion fish | source"),
}
"""The file that each shell reads when it starts, in the user's home, and the line that turns completion on."""


def install_completion(home: Path, shell: str) -> None:
    """Turn completion on in the user's shell with a line in its start file, once. Raises Failure."""
    name = Path(shell).name
    if name not in START_FILES:
        raise Failure(
            f"The shell {plain(name) or 'of this terminal'} is not known.", "Run: teamroom completion bash", USAGE
        )
    where, line = START_FILES[name]
    file, line = home / where, line.format(program=own_name())
    try:
        before = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
        if line in before.splitlines():
            print(f"{plain(str(file))} turns completion on already. Open a new terminal to use it.")
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            out.write(("" if not before or before.endswith("\n") else "\n") + line + "\n")
    except OSError as error:
        raise Failure(
            f"{plain(str(file))} cannot be written: {error.strerror}.", f"Add this line to it by hand: {line}"
        ) from None
    print(f"Added to {plain(str(file))}: {line}")
    print("Open a new terminal to use it. To undo this, remove that line.")
