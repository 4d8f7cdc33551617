"""Imports tasks from other trackers: exports of beads, issues of GitHub, and task lists in Markdown."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import FAILED, USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.terminal import plain, print_json, quoted, say
from teamroom.clients.shell.app import Json, command

if TYPE_CHECKING:
    from teamroom.clients.importing.item import Found
    from teamroom.clients.importing.send import Sent

LISTED = 100
"""How many lines of each list are printed. `--json` has all of them."""

SOURCE_CHARACTERS = 100


@command("Work", name="import")
def import_file(
    place: Place,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of beads (JSONL), GitHub (JSON) or Markdown.")],
    form: Annotated[
        Literal["beads", "github", "markdown"] | None,
        typer.Option("--format", metavar="FORM", help="beads, github or markdown. Default: by the file's content."),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--source", metavar="NAME", help="Where the ids are from, such as owner/repo, if several files share ids."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Import tasks and their dependencies. A second import adds nothing twice."""
    from teamroom.clients.importing.read import read_file
    from teamroom.clients.importing.send import send
    from teamroom.clients.session.progress import progress

    if source != " ".join(source.split()) or len(source) > SOURCE_CHARACTERS:
        raise Failure("A source is one word.", "Use a name such as owner/repo.", USAGE)
    name, found = read_file(file, form, source)
    with connected(place) as room, progress("Importing tasks") as (report,):
        try:
            sent = send(room, found, report, time.sleep)
        except KeyboardInterrupt:
            say("Stopped. Run the same command again to go on. It imports nothing twice.")
            raise
    print_json(_facts(file, name, found, sent)) if json else _show(file, name, found, sent)
    raise typer.Exit(FAILED if found.broken else 0)


def _facts(file: Path, form: str, found: "Found", sent: "Sent") -> dict[str, Any]:
    """What an import did, for programs."""
    return {
        "file": str(file),
        "format": form,
        **{outcome: sent.outcomes[outcome] for outcome in ("created", "changed", "unchanged")},
        "kept": [
            {"task": kept.task, "external": kept.item.external, "title": kept.item.title, "differs": list(kept.differs)}
            for kept in sent.kept
        ],
        "not_imported": found.broken,
        "in_part": found.in_part,
        "left_out": dict(found.left_out),
        "removed": dict(found.removed),
    }


def _show(file: Path, form: str, found: "Found", sent: "Sent") -> None:
    """Print what an import did, and each task that is not as in the file."""
    if not sent.at and not found.broken:
        print(f"{plain(file.name)} has no tasks ({form}).")
    else:
        counts = ", ".join(f"{sent.outcomes[outcome]:,} {outcome}" for outcome in ("created", "changed", "unchanged"))
        kept = f", {len(sent.kept):,} kept as they are here" if sent.kept else ""
        print(f"{plain(file.name)} ({form}): {counts}{kept}.")
    kept_here = [
        f"{plain(kept.task)} {quoted(kept.item.title)} differs in {', '.join(map(_in_words, kept.differs))}"
        for kept in sent.kept
    ]
    _list("Somebody changed these tasks here, so they stay as they are", kept_here)
    _list("Not imported", [plain(line) for line in found.broken])
    _list("Imported in part", [plain(line) for line in found.in_part])
    _list("Left out", [_counted(kind, number) for kind, number in sorted(found.left_out.items())])
    _list("Removed from texts", [_counted(kind, number) for kind, number in sorted(found.removed.items())])


def _list(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    print(f"\n{title}:")
    for line in lines[:LISTED]:
        print(f"  {line}")
    if len(lines) > LISTED:
        print(f"  … and {len(lines) - LISTED:,} more; --json lists them all")


def _counted(kind: str, number: int) -> str:
    return plain(f"{number:,} {kind}{'s' if number != 1 else ''}")


def _in_words(part: str) -> str:
    """A part of a task as people call it."""
    words = {"depends_on": "dependencies", "created_at": "creation date", "closed_at": "closing date"}
    return words.get(part, "what was redacted here" if part == "redacted" else plain(part))
