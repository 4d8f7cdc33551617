"""The shell: each command finds the room, makes one call, and shows the reply.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from teamroom.clients.session.started import STARTED_BY  # before what takes longer to load

# isort: split
import sys
from pathlib import Path
from typing import Annotated

import typer

from teamroom.clients.session.failure import guarded
from teamroom.clients.session.place import Place
from teamroom.clients.session.spans import SPANS, parse_span

app = typer.Typer(
    name="teamroom",
    help="The room that long-running agents and the people who answer for them share.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def seconds(text: str) -> float:
    """A span in words of the shell, in seconds."""
    found = parse_span(text)
    if found is None:
        raise typer.BadParameter(f"write it {SPANS}")
    return found


Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The room's data folder (also TEAMROOM_DATA).")
]
Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="Where the room answers (also TEAMROOM_URL).")]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="A file with your token (or set TEAMROOM_TOKEN).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Span = float | None


def bare(name: str) -> str:
    """A name as arguments carry it: without the @ that people put before it."""
    return name.removeprefix("@")


Name = Annotated[str, typer.Argument(parser=bare, metavar="NAME")]
Target = Annotated[
    str, typer.Argument(parser=bare, metavar="TARGET", help="A member's name, owner:NAME for its agents, or room.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; those it binds are told.")]
After = Annotated[int | None, typer.Option("--after", metavar="N", min=0, help="Only what follows this number.")]


def span(*names: str, help: str) -> typer.models.OptionInfo:
    """An option that takes a span of time."""
    return typer.Option(*names, metavar="SPAN", parser=seconds, help=help)  # type: ignore[no-any-return]


# ------------------------------------------------------------------ the room


@app.command()
def up(
    data: Data = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="The port; 0 finds a free one.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="The first owner of a new room.")] = None,
    json: Json = False,
) -> None:
    """Open the room here, and serve it until Ctrl-C. The first run makes it."""
    from teamroom.clients.local.up import up
    from teamroom.clients.shell.show import opened

    place = Place(data)
    up(place.folder, port, owner, lambda room: opened(room.url, place, room.new_owner, json))


# ------------------------------------------------------------------ members


@app.command()
def enroll(
    name: Name,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="agent or human.")] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="member, owner, operator, watchdog or observer.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="The human who answers for it.")] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="live, every:SECONDS, on_demand or manual.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="Which of its tokens this is.")] = None,
    expires: Annotated[Span, span("--expires", help="How long the token lives, such as 3600 or 30d.")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="A new token in the place of the old one.")] = False,
    revive: Annotated[bool, typer.Option("--revive", help="Bring back a member that was killed.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the token in the data folder for `connect`; do not print it.")
    ] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Bring a member in, or give it a token: shown once, or kept with --save."""
    if rotate and revive:
        raise typer.BadParameter("--rotate and --revive exclude each other")
    from teamroom.clients.shell import show
    from teamroom.clients.shell.members import enroll

    place = Place(data, url, token_file)
    arguments = {"kind": kind, "role": role, "owner": owner, "mode": mode, "label": label, "expires_seconds": expires}
    reply, file = enroll(place, save, name=name, rotate=rotate, revive=revive, **arguments)
    show.enrolled(reply, file, place, json)


@app.command()
def revoke(
    name: Name,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="Only the tokens so labelled.")] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """End a member's tokens; its next call is refused."""
    from teamroom.clients.session import room
    from teamroom.clients.shell import show

    show.revoked(room.ask(Place(data, url, token_file), "revoke", name=name, label=label), json)


# ------------------------------------------------------------------ the switch


@app.command()
def pause(
    target: Target,
    reason: Reason,
    for_: Annotated[Span, span("--for", help="How long, such as 30m; without it until a resume.")] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Stop a member, an owner's agents or the room, at once."""
    from teamroom.clients.session import room
    from teamroom.clients.shell import show

    reply = room.ask(Place(data, url, token_file), "pause", target=target, reason=reason, for_seconds=for_)
    show.controlled(reply, json)


@app.command()
def resume(
    target: Target,
    reason: Reason,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Let go on what was paused."""
    from teamroom.clients.session import room
    from teamroom.clients.shell import show

    show.controlled(room.ask(Place(data, url, token_file), "resume", target=target, reason=reason), json)


@app.command()
def kill(
    target: Annotated[str, typer.Argument(parser=bare, metavar="NAME")],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """End a member for good: its tokens die, its tasks are free again. Asks first."""
    from teamroom.clients.shell import members, show

    show.controlled(members.kill(Place(data, url, token_file), target, reason, yes), json)


@app.command()
def plant(
    capability: Annotated[
        str | None, typer.Argument(metavar="[CAPABILITY]", help="Such as repo:acme/api; without one, what is planted.")
    ] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="Write the value there.")] = None,
    print_: Annotated[
        bool, typer.Option("--print", help="Print the value, this once, to put it there yourself.")
    ] = False,
    read: Annotated[
        str | None, typer.Option("--read", metavar="COMMAND", help="With --print: what members run to print it.")
    ] = None,
    where: Annotated[str | None, typer.Option("--where", metavar="TEXT", help="A hint for who looks for it.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Ask nobody for it any more.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Make a capability provable: a value where it stands, whose hash members are asked for."""
    if capability is not None and (file is not None) + print_ + remove != 1:
        raise typer.BadParameter("give one of --file FILE, --print and --remove")
    from teamroom.clients.session import room
    from teamroom.clients.shell import read as reading
    from teamroom.clients.shell import show_reach
    from teamroom.clients.shell.plant import plant

    place = Place(data, url, token_file)
    if capability is None:
        show_reach.plants(reading.resource(place, "teamroom://plants"), json)
    elif remove:
        show_reach.planted(room.ask(place, "plant", capability=capability, remove=True), None, False, json)
    else:
        show_reach.planted(plant(place, capability, file, read, where), file, print_, json)


@app.command()
def attest(
    name: Name,
    capabilities: Annotated[list[str], typer.Argument(metavar="CAPABILITY…", help="What the member reaches.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take an attestation back before it ends.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Vouch for what a member declares that it reaches, or take that back."""
    from teamroom.clients.session import room
    from teamroom.clients.shell import show_reach

    place = Place(data, url, token_file)
    about = {"attest_for": name, "capabilities": capabilities, **({"withdraw": True} if withdraw else {})}
    reply = room.ask(place, "declare_capabilities", **about)
    show_reach.attested(reply, json)


@app.command()
def policy(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="What to set, such as trust.")] = None,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="To what, such as proven.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Let the settings decide NAME again.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show how the room runs, or change it from the next act on."""
    if (name is not None) != (value is not None or reset) or (value is not None and reset):
        raise typer.BadParameter("give NAME and VALUE, or NAME and --reset, or nothing")
    from teamroom.clients.session import room
    from teamroom.clients.shell import read, show_reach

    place = Place(data, url, token_file)
    if name is None:
        show_reach.policy(read.resource(place, "teamroom://policy"), json)
    else:
        show_reach.policy_set(room.ask(place, "set_policy", name=name, value=value), json)


# ------------------------------------------------------------------ what a person looks at


@app.command()
def board(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="One task in full, such as T-12.")] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="open, claimed, blocked, offered, in_review, done, … or all."),
    ] = None,
    query: Annotated[str | None, typer.Option("--query", metavar="TEXT", help="Only tasks with these words.")] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show the unfinished tasks: what is to do, who has it, what it waits for."""
    from teamroom.clients.shell import read, show

    reply, presence = read.board(Place(data, url, token_file), task, state, query)
    show.board(reply, presence, json)


@app.command()
def stream(
    after: After = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many entries.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show what happened, one line an entry."""
    from teamroom.clients.shell import read, show

    place = Place(data, url, token_file)
    if follow:
        read.follow(place, after, limit, lambda entry: show.stream_entry(entry, json))
    else:
        show.stream(read.stream(place, after, limit), json)


@app.command()
def roster(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", parser=bare)] = None,
    capability: Annotated[
        str | None, typer.Option("--capability", metavar="TEXT", help="Only who has it, such as repo:acme/api.")
    ] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show who is in the room: presence, mode, standing, capabilities."""
    from teamroom.clients.shell import read, show

    show.roster(read.roster(Place(data, url, token_file), name, capability), json)


@app.command()
def receipts(
    after: After = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Only what this member did.")] = None,
    act: Annotated[str | None, typer.Option("--act", metavar="ACT", help="Only this act, such as pause.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="ID", help="Only on this, such as T-12.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="How many.")] = 20,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show the log: who did what, on what, with what outcome."""
    from teamroom.clients.session import room
    from teamroom.clients.shell import show

    place = Place(data, url, token_file)
    reply = room.ask(place, "read_receipts", after=after, actor=actor, act=act, subject=subject, limit=limit)
    show.receipts(reply, json)


@app.command()
def overnight(
    since: Annotated[Span, span("--since", help="How far back, such as 12h; else since you last looked.")] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show what happened on one screen: what waits, what broke, who is stopped, who has what, who did what."""
    from teamroom.clients.shell import read, show_overnight

    hours = "" if since is None else f"/{since / 3600:.6f}"
    show_overnight.overnight(read.resource(Place(data, url, token_file), f"teamroom://overnight{hours}"), json)


# ------------------------------------------------------------------ what looks after the room


@app.command()
def notify(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", parser=bare, help="Whom; without it, who has channels.")
    ] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Try how a person is told outside the room: send a test, and say which channels took it."""
    from teamroom.clients.shell import read
    from teamroom.clients.shell.notify import notify, show_channels

    place = Place(data, url, token_file)
    if name is None:
        show_channels(read.resource(place, "teamroom://channels"), json)
    else:
        raise typer.Exit(notify(place, name, json))


@app.command()
def verify(data: Data = None, json: Json = False) -> None:
    """Check the whole log against its chain and its seal, also while the room is open."""
    from teamroom.clients.local.verify import verify

    raise typer.Exit(verify(Place(data).folder, json))


@app.command()
def backup(
    into: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to; else backups in the data folder.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the backups that are there instead.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Copy the room, also while it runs, and verify the copy: every page, every entry of the log."""
    from teamroom.clients.local import keep

    folder = Place(data).folder
    raise typer.Exit(keep.list_backups(folder, into, json) if list_ else keep.backup(folder, into, json))


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(metavar="BACKUP", help="The .db file that `teamroom backup` made.")],
    without_journal: Annotated[
        bool, typer.Option("--without-journal", help="Also where nobody knows who was killed since.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Bring a backup back in place of the room, which must not run. Nothing that was killed lives again."""
    from teamroom.clients.local import keep

    raise typer.Exit(keep.restore(Place(data).folder, path, without_journal, json))


@app.command()
def redact(
    reason: Reason,
    what: Annotated[
        str | None, typer.Argument(metavar="[WHAT]", help="M-7, T-3, O-2, or the number of an entry of the log.")
    ] = None,
    older_than: Annotated[Span, span("--older-than", help="Instead: all that is older, such as 90d.")] = None,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take content away for good; numbers and hashes stay, and the log still verifies."""
    if (what is None) == (older_than is None):
        raise typer.BadParameter("give WHAT, or --older-than SPAN")
    from teamroom.clients.shell.redact import redact

    redact(Place(data, url, token_file), what, older_than, reason, json)


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend, such as rights of files.")] = False,
    drill: Annotated[bool, typer.Option("--drill", help="Also kill a member made for it, and call again.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Look for what is wrong with the room, its folder and this machine, and say what mends it."""
    from teamroom.clients.doctor.doctor import doctor

    raise typer.Exit(doctor(Place(data, url, token_file), json, fix, drill))


@app.command()
def connect(
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member that joins.")],
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Carry MCP between standard input and output and the room, for clients that speak stdio only."""
    from teamroom.clients.bridge.connect import connect

    failure = connect(Place(data, url, token_file), name)
    raise typer.Exit(failure.exit_code if failure is not None else 0)


@app.command()
def listen(
    name: Annotated[str, typer.Option("--as", metavar="NAME", parser=bare, help="The member that listens.")],
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND…", help="What to run for a wake; {wake} in it is one line about it."),
    ],
    stay: Annotated[bool, typer.Option("--stay", help="Go on when the program that started it ends.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Be the one live listener of an agent: run a command for what wakes it, the wakes as JSON on its input."""
    from teamroom.clients.listener.listen import listen

    raise typer.Exit(listen(Place(data, url, token_file), name, command, None if stay else STARTED_BY))


@app.command()
def watch(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="Which runtimes, and how they are started.")
    ] = Path("runtimes.toml"),
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", parser=bare, help="The watchdog, whose token is kept here.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One round, then end: for cron.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the config, and show what would be done.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a config to begin with.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say what is well.")] = False,
    data: Data = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Look after the runtimes of agents on this machine: repair them, and count their listeners."""
    from teamroom.clients.watchdog import watch as watching
    from teamroom.clients.watchdog.runtimes import EXAMPLE

    place = Place(data, url, token_file)
    if example:
        print(EXAMPLE, end="")
    elif check:
        raise typer.Exit(watching.check(config, place.environment, json))
    else:
        raise typer.Exit(watching.watch(place, name, config, once, verbose, json))


def main() -> None:
    """The console script `teamroom`."""
    sys.exit(guarded(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
