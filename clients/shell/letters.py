"""Letters: when and where the room tells a person outside it, and the channels that the person adds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from teamroom.clients.session.blocking import ask_once, connected
from teamroom.clients.session.failure import FAILED, USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import Styled, plain, print_json, print_rows
from teamroom.clients.session.times import with_local_times
from teamroom.clients.shell.app import Json, app, bare, command
from teamroom.clients.shell.people import CHANNELS, REQUEST_ID_BYTES, show_outcomes

if TYPE_CHECKING:
    from teamroom.server.acts.letters.channels import ChannelShown, LettersShown, Notified

SECTION = "Members"

ADDRESS_BYTES = 8_000
"""How much of a file or of standard input is read for an address: more than the longest one has."""

SHOW = "show"


class LettersCommands(TyperGroup):
    """The commands about letters. Without one, it shows them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after `letters`."""
        is_bare = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, [SHOW, *args] if is_bare else args)


letters = typer.Typer(name="letters", cls=LettersCommands, rich_markup_mode=None)
app.add_typer(letters, rich_help_panel=SECTION)

channel = typer.Typer(name="channel", no_args_is_help=True, rich_markup_mode=None)
letters.add_typer(channel, rich_help_panel=SECTION)


@letters.callback()
def letters_commands() -> None:
    """Show or change when and where you get letters. The subcommands are show, set, test and channel."""


@channel.callback()
def channel_commands() -> None:
    """Add a channel on which you get letters, or remove one."""


Whose = Annotated[str | None, typer.Option("--for", metavar="NAME", parser=bare, help="The person. Default: yourself.")]


@command(SECTION, SHOW, group=letters)
def show(place: Place, name: Whose = None, json: Json = False) -> None:
    """Show your quiet hours, cap, zone, digest and channels."""
    with connected(place) as room:
        person = _person(room.read(CHANNELS), name or room.read("teamroom://me")["name"])
    if json:
        print_json(person)
        return
    _show_settings(shaped(person["settings"]))
    channels: list[ChannelShown] = [shaped(one) for one in person["channels"]]
    print_rows([_row(one) for one in channels])
    if not channels:
        print("There are no channels. To add one, run: teamroom letters channel add")


@command(SECTION, "set", group=letters)
def set_(
    place: Place,
    quiet: Annotated[
        str | None,
        typer.Option(
            "--quiet", metavar="HOURS", help="Quiet hours, such as 22:00-07:00; none, or room for the room's."
        ),
    ] = None,
    per_hour: Annotated[
        int | None,
        typer.Option("--per-hour", metavar="N", min=0, max=100, help="Letters in an hour; 0 for the room's setting."),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="Your time zone, such as Europe/Berlin; room for its.")
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="TIME", help="Time of the daily digest, such as 08:00; none, or room."),
    ] = None,
    suspects: Annotated[
        bool | None, typer.Option("--suspects/--no-suspects", help="Whether you are told that an agent is suspect.")
    ] = None,
    name: Whose = None,
    json: Json = False,
) -> None:
    """Set your quiet hours, cap, zone, digest time, and whether you hear of suspects. It takes effect at once."""
    given = {"quiet": quiet, "per_hour": per_hour, "zone": zone, "digest_time": digest, "suspects": suspects}
    if all(value is None for value in given.values()):
        raise Failure("There is nothing to change.", "For example: teamroom letters set --quiet 22:00-07:00", USAGE)
    _show_change(_notify(place, name=name, **given), json)


@command(SECTION, "test", group=letters)
def send_test(place: Place, name: Whose = None, json: Json = False) -> None:
    """Send a test letter on each channel. Shows which channels accepted it."""
    if name is None:
        with connected(place) as room:
            name = str(room.read("teamroom://me")["name"])
    show_outcomes(place, name, json)


@command(SECTION, group=channel)
def add(
    place: Place,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="The file with the address. Default: you are asked.")
    ] = None,
    json: Json = False,
) -> None:
    """Add a channel. Its address is read from standard input, a file or a prompt, never from the command line."""
    _show_change(_notify(place, add_channel=_address(place, file)), json)


@command(SECTION, group=channel)
def remove(
    place: Place,
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="The channel's number in `teamroom letters`.")],
    name: Whose = None,
    json: Json = False,
) -> None:
    """Remove a channel that you added, and its address."""
    _show_change(_notify(place, name=name, remove_channel=number), json)


def _notify(place: Place, **arguments: Any) -> dict[str, Any]:
    """Change letters once, also if the answer is lost; returns the reply. Raises Failure."""
    import secrets

    return ask_once(place, "notify", secrets.token_hex(REQUEST_ID_BYTES), **arguments)


# ------------------------------------------------------------------ the address


def _address(place: Place, file: Path | None) -> str:
    """Return the address that a person gives, which is shown nowhere. Raises Failure."""
    if file is None and place.on_terminal:
        from getpass import getpass

        found = getpass("Address (an Apprise URL, not shown): ").encode()
    else:
        found = _read(file)
    try:
        address = found.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Failure("The address is not text in UTF-8.", "Give one Apprise URL.", USAGE) from None
    if not address or len(found) > ADDRESS_BYTES or len(address.split()) != 1:
        raise Failure("There is no address, or more than one.", "Give one Apprise URL, such as ntfy://…", USAGE)
    return address


def _read(file: Path | None) -> bytes:
    """Return the beginning of a file, or of standard input. Raises Failure."""
    if file is None:
        return sys.stdin.buffer.read(ADDRESS_BYTES + 1)
    try:
        with file.open("rb") as opened:
            return opened.read(ADDRESS_BYTES + 1)
    except OSError as error:
        raise Failure(
            f"{file} cannot be read: {error.strerror}.", "Name a file with one Apprise URL.", FAILED
        ) from None


# ------------------------------------------------------------------ what is shown


def _person(reply: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the room says of a person's letters. Raises Failure."""
    for person in reply["people"]:
        if person["settings"] is not None and person["name"].casefold() == name.casefold():
            return dict(person)
    raise Failure(
        f"The room shows no letters of @{name}.", "Letters are for people. To see all channels, run: teamroom notify"
    )


def _show_change(reply: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(reply)
        return
    done: Notified = shaped(reply)
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    what = "Nothing changed." if done.note else f"Changed the letters to @{plain(done.name)}.{receipt}"
    print(what)
    _show_settings(done.settings)
    if done.added:
        print(f"Channel {done.added} was added. To test it, run: teamroom letters test")


def _show_settings(settings: "LettersShown") -> None:
    """Print each setting, and whether the person chose it."""
    values = {
        "quiet hours": settings.quiet or "none",
        "letters an hour": str(settings.per_hour),
        "digest": settings.digest_time or "none",
        "time zone": settings.zone,
        "told about suspects": "yes" if settings.suspects else "no",
    }
    names = dict(zip(values, ("quiet", "per_hour", "digest_time", "zone", "suspects"), strict=True))
    origin = {True: "chosen", False: "the room's"}
    rows = [[label, plain(value), origin[names[label] in settings.own]] for label, value in values.items()]
    rows[-1][-1] = "" if not settings.suspects else "chosen"
    print_rows([[Styled(cell) for cell in row] for row in rows])


def _row(one: "ChannelShown") -> list[Styled]:
    from teamroom.server.acts.letters.channels import ChannelShown

    words = ChannelShown.model_validate(one).words
    number = f"channel {one.number}" if one.number else "room.toml"
    return [Styled(number), Styled(f"{plain(one.kind)}://…"), Styled(plain(with_local_times(words)))]
