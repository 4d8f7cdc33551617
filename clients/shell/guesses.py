"""Words that people guess, because other tools call a command so, and what this shell does for each.

A guess with one meaning runs the command. One that could mean several things, or that needs more words, prints the
commands and ends with a usage error. A command of the shell with the same name always comes first.
"""

import shlex
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

NEAR, NEAR_GUESS, NEAREST = 0.6, 0.8, 3
"""How near a command, and a guess, is at least to a mistyped word, as the share of equal characters; how many count."""

NAME = "NAME"
"""Stands for the first word after a guess, if there is one."""


NOTHING: Mapping[str, str] = MappingProxyType({})


class Guess(NamedTuple):
    """What a guessed word leads to: the words of a command that runs, or what each of some commands is for.

    `tool`: what an MCP client calls for it, as long as the shell has none of these commands.
    """

    runs: tuple[str, ...] = ()
    shows: Mapping[str, str] = NOTHING
    tool: str = ""


ROSTER, BOARD, STREAM = Guess(("roster",)), Guess(("board",)), Guess(("stream",))
PAUSE, RESUME = Guess(("pause",)), Guess(("resume",))
ENROLL, DOCTOR, STATUS = Guess(("enroll",)), Guess(("doctor",)), Guess(("status",))
OVERNIGHT, RECEIPTS = Guess(("overnight",)), Guess(("receipts",))

POST, ASK = Guess(("post",)), Guess(("ask",))

STOP = Guess(
    shows={
        "pause NAME": "one agent, until you resume it",
        "pause room": "all agents",
        "kill NAME --reason TEXT": "one agent, for good",
        "down": "the room's server",
    }
)
RESTART = Guess(
    shows={
        "down && teamroom up --detach": "the room's server",
        "resume NAME": "an agent that is paused",
        "watch": "agents that fail on this machine, automatically",
    }
)
LOG = Guess(
    shows={
        "stream --follow": "what happens in the room",
        "receipts": "who did what, with which outcome",
        "status": "names the file with the server's own log",
    }
)
LIST = Guess(shows={"roster": "the members", "board": "the tasks", "stream": "what happened"})
ADD = Guess(shows={"enroll NAME": "a member", "task add": "a task"})
SUBCOMMANDS = Guess(
    shows={
        "task assign NAME MEMBER": "give a task to a member",
        "task edit NAME": "change a task",
        "task release NAME": "reopen a claimed task",
        "task cancel NAME": "cancel a task for good",
    }
)
APPROVE = Guess(shows={"review NAME accept": "a completed task", "handoff NAME accept": "an offer"})
REJECT = Guess(shows={"review NAME send-back": "a completed task", "handoff NAME decline": "an offer"})

REMOVE = Guess(
    shows={
        "revoke NAME": "a member's tokens",
        "kill NAME --reason TEXT": "a member, for good",
        "redact WHAT --reason TEXT": "content",
    }
)
SETTINGS = Guess(shows={"policy": "what members may do", "doctor --settings": "every setting and where it comes from"})
TOKEN = Guess(
    shows={
        "enroll NAME --rotate": "a new token for a member",
        "recover": "a new token for the owner, on the room's machine",
        "revoke NAME": "end a member's tokens",
    }
)
SEARCH = Guess(shows={"board --query TEXT": "in tasks", "receipts --act ACT": "in the log"}, tool="read_messages")

GUESSES: dict[str, Guess] = {
    # the server
    **dict.fromkeys(("start", "daemon"), Guess(("up", "--detach"))),
    **dict.fromkeys(("run", "serve", "server", "open", "launch", "init", "setup"), Guess(("up",))),
    **dict.fromkeys(("shutdown", "quit"), Guess(("down",))),
    **dict.fromkeys(("stop", "halt", "end"), STOP),
    **dict.fromkeys(("restart", "reload", "reboot"), RESTART),
    **dict.fromkeys(("health", "ping", "info", "state", "uptime"), STATUS),
    **dict.fromkeys(("check", "diagnose", "test"), DOCTOR),
    "install": Guess(("service", "install")),
    "uninstall": Guess(("service", "uninstall")),
    "version": Guess(("--version",)),
    **dict.fromkeys(("man", "docs", "commands", "usage"), Guess(("help",))),
    "completions": Guess(("completion",)),
    **dict.fromkeys(("config", "configure", "settings", "set", "get"), SETTINGS),
    # members
    **dict.fromkeys(("who", "members", "agents", "people", "users", "team", "ps", "presence", "peers"), ROSTER),
    **dict.fromkeys(("invite", "register", "enrol", "hire"), ENROLL),
    **dict.fromkeys(("add", "new", "create"), ADD),
    **dict.fromkeys(("remove", "rm", "delete", "del", "drop"), REMOVE),
    **dict.fromkeys(("login", "logon", "auth", "token", "tokens", "rotate"), TOKEN),
    "signin": Guess(("sign-in",), TOKEN.shows),
    "revive": Guess(("enroll", "--revive")),
    # the switch
    **dict.fromkeys(("suspend", "freeze", "hold", "block"), PAUSE),
    **dict.fromkeys(("unpause", "continue", "unfreeze", "unblock"), RESUME),
    **dict.fromkeys(("terminate", "ban", "fire"), Guess(("kill",))),
    # work
    **dict.fromkeys(("tasks", "todo", "todos", "issues", "tickets", "jobs", "queue", "kanban", "work"), BOARD),
    **dict.fromkeys(("ticket", "issue"), Guess(("task",))),
    **dict.fromkeys(("take", "grab", "pick"), Guess(("claim",))),
    **dict.fromkeys(("assign", "cancel", "release", "edit"), SUBCOMMANDS),
    **dict.fromkeys(("finish", "complete", "close"), Guess(("done",))),
    **dict.fromkeys(("approve", "accept"), APPROVE),
    **dict.fromkeys(("reject", "decline", "send-back"), REJECT),
    **dict.fromkeys(("hand-off", "handover", "transfer", "offer"), Guess(("handoff",))),
    **dict.fromkeys(("defer", "later", "postpone"), Guess(("snooze",))),
    # messages
    **dict.fromkeys(("say", "send", "msg", "message", "chat", "write", "announce"), POST),
    "tell": Guess(shows={"post --to NAME TEXT": "a member", "ask NAME TEXT": "ask it, until it answers"}),
    **dict.fromkeys(("answer", "respond", "re"), Guess(("reply",))),
    "question": ASK,
    **dict.fromkeys(("mail", "unread", "pending", "mentions", "mine"), Guess(("inbox",))),
    **dict.fromkeys(("show", "cat", "view"), Guess(("read",))),
    **dict.fromkeys(("messages", "feed", "events", "activity", "history", "timeline", "news"), STREAM),
    **dict.fromkeys(("tail", "follow"), Guess(("stream", "--follow"))),
    **dict.fromkeys(("log", "logs", "journal"), LOG),
    **dict.fromkeys(("search", "find", "grep"), SEARCH),
    **dict.fromkeys(("ls", "list"), LIST),
    # what happened, and the record
    **dict.fromkeys(("summary", "report", "digest", "morning", "night", "brief"), OVERNIGHT),
    **dict.fromkeys(("audit", "trail"), RECEIPTS),
    "backups": Guess(("backup", "--list")),
    **dict.fromkeys(("dump", "snapshot"), Guess(("backup",))),
    # programs
    **dict.fromkeys(("mcp", "stdio", "bridge", "proxy"), Guess(("connect",))),
    **dict.fromkeys(("listener", "wait"), Guess(("listen",))),
    **dict.fromkeys(("watchdog", "supervise", "monitor"), Guess(("watch",))),
}
"""Each guessed word."""


def find_guess(word: str, commands: Collection[str]) -> Guess | None:
    """Return what a word leads to that is no command; None if nothing is known of it.

    A command that this shell does not have yet is left out.
    """
    guess = GUESSES.get(word.casefold())
    if guess is None:
        return None
    runs = guess.runs if guess.runs and (guess.runs[0] in commands or guess.runs[0].startswith("-")) else ()
    shows = {words: use for words, use in guess.shows.items() if words.split()[0] in commands}
    return Guess(runs, shows, "" if runs else guess.tool)


def nearest_commands(word: str, commands: Collection[str]) -> list[str]:
    """Return the commands that a mistyped word probably means, the nearest first; then those of near guesses."""
    from difflib import get_close_matches  # every command loads this file, and few are mistyped

    guesses = {name: guess.runs[0] for name, guess in GUESSES.items() if guess.runs and guess.runs[0] in commands}
    near = get_close_matches(word.casefold(), commands, NEAREST, NEAR)
    near += [guesses[name] for name in get_close_matches(word.casefold(), guesses, NEAREST, NEAR_GUESS)]
    return list(dict.fromkeys(near))[:NEAREST]


def in_words(word: str, guess: Guess, given: Sequence[str], name: str) -> str:
    """Return what to type instead of a guess that could mean several things. `name`: what runs this program."""
    subject = shlex.quote(next((one for one in given if not one.startswith("-")), NAME))
    lines = [f"{word!r} is not a command."]
    if guess.shows:
        lines[0] += " You may mean:"
        shown = {words.replace(NAME, subject).replace("teamroom", name): use for words, use in guess.shows.items()}
        widest = max(map(len, shown))
        lines += [f"  {name} {words.ljust(widest)}  {use}" for words, use in shown.items()]
    if guess.tool:
        lines.append(f"From an MCP client, call the tool {guess.tool}.")
    return "\n".join(lines)
