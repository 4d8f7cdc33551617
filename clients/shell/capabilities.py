"""Capabilities: planted values and attestations."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import ask
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import own_name
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.spans import until
from teamroom.clients.session.terminal import Styled, cited, plain, print_json, print_rows, quoted, say
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.app import Json, Name, command
from teamroom.clients.shell.reading import read as read_resource
from teamroom.server.rules.text import backtick

if TYPE_CHECKING:
    from teamroom.server.acts.capabilities.plants import Planted, Plants, PlantShown
    from teamroom.server.facts.capability import CapabilityShown

SECTION = "Capabilities"


def describe(shown: "CapabilityShown") -> str:
    """Return a capability with its state, who vouched for it and how long that lasts."""
    by = f" by @{plain(shown.by)}" if shown.by else ""
    left = f" for {until(shown.until)}" if shown.until and shown.state != "expired" else ""
    idle = "" if shown.counts else ", does not count"
    return f"{cited(shown.capability)} ({shown.state}{by}{left}{idle})"


# ------------------------------------------------------------------ plants


@command(SECTION)
def plant(
    place: Place,
    capability: Annotated[
        str | None, typer.Argument(metavar="CAPABILITY", help="Such as repo:acme/api. Default: list the plants.")
    ] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="Write the value to this file.")] = None,
    print_: Annotated[
        bool, typer.Option("--print", help="Print the value once, so that you can plant it yourself.")
    ] = False,
    read: Annotated[
        str | None,
        typer.Option("--read", metavar="COMMAND", help="With --print: the command with which members read the value."),
    ] = None,
    where: Annotated[str | None, typer.Option("--where", metavar="TEXT", help="A hint where to look for it.")] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the plant. Members are no longer probed for it.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a capability provable. Plants a value that only members with access can hash."""
    if capability is not None and (file is not None) + print_ + remove != 1:
        raise typer.BadParameter("give one of --file FILE, --print and --remove")
    if capability is None:
        _show_plants(read_resource(place, "teamroom://plants"), json)
    elif remove:
        _show_planted(ask(place, "plant", capability=capability, remove=True), None, False, json)
    elif file is None:
        _show_planted(ask(place, "plant", capability=capability, read=read, where=where), None, print_, json)
    else:
        _show_planted(_plant_in_file(place, capability, file, where), file, print_, json)


def _plant_in_file(place: Place, capability: str, file: str, where: str | None) -> dict[str, Any]:
    """Plant a new value in a file; returns the room's reply. Raises Failure.

    A file that contains anything other than an older value is not overwritten.
    """
    path = Path(file).expanduser()
    if where is None and not path.is_absolute():
        where = f"the path begins at the root of {capability}"
    with _draft(path) as draft:
        reply = ask(place, "plant", capability=capability, file=file, where=where)
        draft.write_text(f"{reply['value']}\n", encoding="ascii")
        try:
            draft.replace(path)
        except OSError as error:
            raise Failure(
                f"The room has a new value, but {path} cannot be written: {error.strerror}.", "Run the command again."
            ) from None
    return reply


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Create an empty file next to the target, so that a failure to write comes before the room has a new value."""
    if path.exists() and not _is_ours(path):
        raise Failure(
            f"{path} contains something else and was not overwritten.", "Choose a new file with --file.", USAGE
        )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(exist_ok=False)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.", "Choose another file with --file.") from None
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    from teamroom.server.rules.proofs import VALUE_PREFIX

    try:
        with path.open("rb") as found:
            return found.read(len(VALUE_PREFIX)) == VALUE_PREFIX.encode()
    except OSError:
        return False


def _show_planted(reply: dict[str, Any], file: str | None, to_print: bool, as_json: bool) -> None:
    """Print where the new value is. With `to_print`, standard output contains only the value itself."""
    done: Planted = shaped(reply)
    if as_json:
        print_json({**reply, "file": file, "value": done.value if to_print else None})
        return
    asked = f"{done.asked} member{'s' if done.asked != 1 else ''} probed"
    if to_print and done.value is not None:
        print(done.value)
        say(f"{cited(done.capability)} is provable. Put the value where only members with it can read it. {asked}.")
    elif file is not None:
        print(f"{cited(done.capability)} is provable: its value is in {plain(file)}. {asked}.")
    else:
        print(f"{cited(done.capability)} is no longer provable.")


def _show_plants(reply: dict[str, Any], as_json: bool) -> None:
    """Print the plants, one per line."""
    if as_json:
        print_json(reply)
        return
    found: Plants = shaped(reply)
    rows = [[cited(p.capability), f"@{plain(p.by)}", plain(date_and_time(p.at)), _how_to_read(p)] for p in found.plants]
    print_rows([list(map(Styled, row)) for row in rows])
    if not rows:
        print(f"There are no plants. To plant a value, run: {own_name()} plant CAPABILITY --file FILE")


def _how_to_read(plant: "PlantShown") -> str:
    """Return the command that reads a planted value, and the hint where to look for it."""
    read = f"run {backtick(plain(plant.read))}" if plant.read else ""
    return "; ".join(filter(None, [read, quoted(plant.where)])) or "-"


# ------------------------------------------------------------------ attestations


@command(SECTION)
def attest(
    place: Place,
    name: Name,
    capabilities: Annotated[list[str], typer.Argument(metavar="CAPABILITY…", help="The capabilities to attest.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw the attestation.")] = False,
    json: Json = False,
) -> None:
    """Attest a member's capabilities, or withdraw an attestation. The member must declare them first."""
    about = {"attest_for": name, "capabilities": capabilities, **({"withdraw": True} if withdraw else {})}
    reply = ask(place, "declare_capabilities", **about)
    if json:
        print_json(reply)
        return
    states: dict[str, CapabilityShown] = {state["capability"]: shaped(state) for state in reply["states"]}
    for capability in reply["capabilities"]:
        print(f"@{plain(str(reply['member']))}: {describe(states[capability])}. Receipt {reply['receipt']}.")
