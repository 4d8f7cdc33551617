"""The record: verify, back up, restore and redact."""

from pathlib import Path
from typing import Annotated, Any

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.place import Place, check_person
from teamroom.clients.session.program import printed
from teamroom.clients.session.progress import progress
from teamroom.clients.session.terminal import plain, print_json
from teamroom.clients.shell.app import Data, Json, Span, command, span
from teamroom.clients.shell.writing import NeededReason

SECTION = "The record"


@command(SECTION)
def verify(
    against: Annotated[
        str | None,
        typer.Option(metavar="HASH@NUMBER", help="Also check that the log continues this head, which you kept."),
    ] = None,
    key: Annotated[bool, typer.Option("--key", help="Print the room's public key instead.")] = False,
    signed_by: Annotated[
        str | None, typer.Option("--signed-by", metavar="KEY", help="Check the seal with this public key.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Verify the whole log against its hash chain and its seals. The room may be running."""
    from teamroom.clients.local import verify

    folder = Place(data).folder
    if key:
        raise typer.Exit(verify.print_key(folder, json))
    raise typer.Exit(verify.verify(folder, json, verify.against(against, signed_by)))


@command(SECTION)
def seal(
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept the log as it is, although the seal contradicts it.")
    ] = False,
    restored: Annotated[
        bool,
        typer.Option("--restored", help="The same for a PostgreSQL database that you restored: a new epoch begins."),
    ] = False,
    also: Annotated[
        list[Path] | None,
        typer.Option("--also", metavar="DIR", help="With --restored: the data folder of another server of the room."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show the seal and what contradicts it. With --accept, a stopped room that is read-only opens again."""
    from teamroom.clients.local import seal

    place = Place(data)
    if not (accept or restored):
        raise typer.Exit(seal.show(place.folder, json))
    check_person(place.environment, "accept a log")
    raise typer.Exit(seal.accept(place.folder, json, restored, also or ()))


@command(SECTION)
def backup(
    into: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The folder for the backup. Default: backups in the data folder."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the existing backups instead.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Back up the room. Verifies every page and log entry of the copy. The room may be running."""
    from teamroom.clients.local import backups

    folder = Place(data).folder
    raise typer.Exit(backups.list_backups(folder, into, json) if list_ else backups.backup(folder, into, json))


@command(SECTION)
def copy(
    source: Annotated[str, typer.Option("--from", metavar="PLACE", help="A data folder, or postgresql://…")],
    target: Annotated[str, typer.Option("--to", metavar="PLACE", help="An empty database, or a data folder.")],
    json: Json = False,
) -> None:
    """Copy the room between a data folder and PostgreSQL. It must not be running. Verifies the copy."""
    from teamroom.clients.local import copying

    raise typer.Exit(copying.copy(source, target, json))


@command(SECTION)
def restore(
    path: Annotated[Path, typer.Argument(metavar="BACKUP", help="The .db file that `teamroom backup` wrote.")],
    without_journal: Annotated[
        bool, typer.Option("--without-journal", help="Restore even if the record of later kills is missing.")
    ] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Restore a backup without this room's signature; revokes every token.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Replace the room with a backup. The room must not be running. Killed members stay killed."""
    from teamroom.clients.local import backups

    place = Place(data)
    check_person(place.environment, "restore a backup")
    raise typer.Exit(backups.restore(place.folder, path, without_journal, unsigned, json))


@command(SECTION)
def redact(
    place: Place,
    reason: NeededReason,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT", help="M-7, T-3, O-2, the number of a log entry, or @NAME: what its runtimes report."
        ),
    ] = None,
    older_than: Annotated[
        Span, span("--older-than", help="Redact everything older than this instead, such as 90d.")
    ] = None,
    json: Json = False,
) -> None:
    """Remove content permanently. Numbers and hashes stay, and the log still verifies."""
    if (what is None) == (older_than is None):
        raise typer.BadParameter("give WHAT, or --older-than SPAN")
    done = _redact(place, what, older_than, reason)
    if json:
        print_json(done)
        return
    number = done["entries"]
    print(f"{number} {'entry was' if number == 1 else 'entries were'} redacted. The log still verifies.")
    hidden = done.get("reports", 0)
    if hidden:
        print(f"{hidden} {'report' if hidden == 1 else 'reports'} of its runtimes lost the text, and cannot repeat it.")
    if done.get("more"):
        print(f"The room redacts further entries about it now. To see them: {printed('receipts', place.named_options)}")
    if number or hidden:
        print(f"Earlier backups still contain the content: {plain(str(place.folder / 'backups'))}")


def _redact(place: Place, what: str | None, older_than: float | None, reason: str) -> dict[str, Any]:
    """Redact content in as many calls as needed. A Failure leaves what was already redacted redacted."""
    with connected(place) as room:
        if what is not None:
            reply = room.call("redact", what=what, reason=reason)
            receipts = [reply["receipt"]] if reply["receipt"] else []
            return {**{name: reply[name] for name in ("entries", "reports", "more")}, "receipts": receipts}
        entries, receipts, after = 0, [], 0
        end = room.read("teamroom://stream")["cursor"]
        with progress("Redacting") as (report,):
            while True:
                reply = room.call("redact", older_than_seconds=older_than, after=after, reason=reason)
                entries += reply["entries"]
                receipts += [reply["receipt"]] if reply["receipt"] else []
                if reply["after"] is None:
                    return {"entries": entries, "receipts": receipts}
                after = reply["after"]
                report(after, end)
