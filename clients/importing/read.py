"""Reads a file of tasks: its text, its form, and its tasks in the order in which they are imported."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from teamroom.clients.importing.beads import read_beads
from teamroom.clients.importing.github import issues_in, read_github
from teamroom.clients.importing.item import Found, Item, tidy
from teamroom.clients.importing.markdown import TASK, read_markdown
from teamroom.clients.importing.order import put_in_order
from teamroom.clients.importing.values import Value, values
from teamroom.clients.session.failure import USAGE, Failure

FILE_BYTES = 100_000_000
TASKS = 100_000
"""How large a file may be, and how many tasks it may have."""

LOOKED_AT = 100
"""How many values or characters of a file decide on its form."""

JSON_ENDS = (".json", ".jsonl", ".ndjson")
MARKDOWN_ENDS = (".md", ".markdown", ".mdown", ".mkd")

BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))

Form = Literal["beads", "github", "markdown"]


def read_file(path: Path, form: Form | None, source: str) -> tuple[Form, Found]:
    """The form and the tasks of a file. Raises Failure, and nothing is imported then.

    `source` names where its ids are from, if the file does not say so, or the same ids are also used elsewhere.
    """
    text, name = read_text(path), path.name
    if form == "markdown" or (form is None and _is_markdown(text, name)):
        form, found = "markdown", read_markdown(text, source or name)
    else:
        read = values(text, name)
        form = form or _form_of(read, name)
        readers: dict[Form, Callable[[list[Value], str], Found]] = {"beads": read_beads, "github": read_github}
        found = readers[form](read, source)
    _leave_out_repeated(found)
    if len(found.items) > TASKS:
        raise Failure(
            f"{name} has {len(found.items):,} tasks, and at most {TASKS:,} are imported at once. Nothing was imported.",
            "Divide the file.",
            USAGE,
        )
    tidy(found)
    put_in_order(found)
    return form, found


def read_text(path: Path) -> str:
    """The text of a file, its lines separated by `\\n`. Bytes that are not UTF-8 become lone surrogates.

    Raises Failure.
    """
    raw = _bytes(path)
    mark, encoding = next((one for one in BYTE_ORDER_MARKS if raw.startswith(one[0])), (b"", "utf-8"))
    try:
        text = raw.removeprefix(mark).decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError:
        raise Failure(f"{path.name} begins as UTF-16, and is not.", EXPORT_AGAIN, USAGE) from None
    if "\0" in text[:LOOKED_AT]:
        raise Failure(f"{path.name} is not a text file.", EXPORT_AGAIN, USAGE)
    return text.replace("\r\n", "\n").replace("\r", "\n")


EXPORT_AGAIN = "Export the tasks as UTF-8."


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.", "Name a file with tasks.", USAGE) from None
    if len(raw) > FILE_BYTES:
        raise Failure(f"{path.name} is larger than {FILE_BYTES // 1_000_000} MB.", "Divide the file.", USAGE)
    return raw


def _is_markdown(text: str, name: str) -> bool:
    """Whether a file is Markdown: by its name, by a task in it, or because it does not begin as JSON does."""
    if name.lower().endswith((*MARKDOWN_ENDS, *JSON_ENDS)):
        return name.lower().endswith(MARKDOWN_ENDS)
    return text.lstrip()[:1] not in ("{", "[") or any(map(TASK.match, text.split("\n")))


def _form_of(read: list[Value], name: str) -> Form:
    """The form of JSON, by its first values. Raises Failure if it is unknown."""
    issues = [issue for value in read[:LOOKED_AT] if not value.fault for issue in issues_in(value.value)]
    for issue in issues:
        if isinstance(issue, dict) and "number" in issue:
            return "github"
        if isinstance(issue, dict) and ("id" in issue or "_type" in issue):
            return "beads"
    if not issues:
        return "github" if name.lower().endswith(".json") else "beads"  # an export without tasks
    raise Failure(
        f"{name} has JSON that is neither an export of beads nor issues of GitHub. Nothing was imported.",
        "For GitHub: gh issue list --state all --json number,title,body,state,createdAt,closedAt,labels,url",
        USAGE,
    )


def _leave_out_repeated(found: Found) -> None:
    """Of tasks with the same id, take the last one, and name the others."""
    last = dict[str, Item]()
    for item in found.items:
        if (earlier := last.pop(item.external, None)) is not None:
            found.in_part.append(f"{item.name}: it is there twice; {item.where} counts, and {earlier.where} does not")
        last[item.external] = item
    found.items = list(last.values())
