"""What a join or a leave changes in one file: planned first, shown, then written.

The plan always begins from the base: the file without any entry of ours. While nobody else changed the file, that is
what it was before, byte for byte. Otherwise it is what the file is now, without our entries. A saved copy is never
written over what somebody changed.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from teamroom.clients.harnesses import files
from teamroom.clients.harnesses.description import ConfigFile
from teamroom.clients.harnesses.entries import SYNTAXES, ConflictError, Entry, Put, merge, strip
from teamroom.clients.harnesses.files import Found, decode, digest, encode, find_config
from teamroom.clients.harnesses.record import Record, Written
from teamroom.clients.harnesses.syntax import BrokenError
from teamroom.clients.session.failure import TOKEN, Failure
from teamroom.server.private import PRIVATE_FILE

SHOWN_CHARACTERS = 160
"""The longest line of a diff that is shown whole."""

COMMENT = re.compile(r"//|/\*|#")

WHOLE_FILE = Put((), None)
"""What the record has in place of the entries for a file that is ours as a whole."""

Owned = tuple[str, Entry]


@dataclass(frozen=True)
class Change:
    """A change of one file. `after` is None to remove it; `written` is the record of it afterwards, None for none."""

    found: Found
    after: bytes | None
    mode: int | None
    written: Written | None

    @property
    def is_one(self) -> bool:
        """Whether the file changes at all."""
        return self.after != self.found.data or (self.mode is not None and self.mode != self.found.mode)

    def diff(self) -> list[str]:
        """Return the lines that go and come, without tokens. A comma that comes to a line is no change."""
        old, new = _lines(self.found.data), _lines(self.after)
        same = difflib.SequenceMatcher(None, _without_commas(old), _without_commas(new), autojunk=False)
        changed = [found for found in same.get_opcodes() if found[0] != "equal"]
        return [
            _shown(mark + line)
            for _, i, j, k, m in changed
            for mark, lines in (("-", old[i:j]), ("+", new[k:m]))
            for line in lines
        ]


@dataclass(frozen=True)
class _Base:
    """A file without entries of ours: its bytes, None for no file, and its mode."""

    data: bytes | None
    mode: int | None


def plan_join(record: Record, key: str, config: ConfigFile) -> Change:
    """Return how a file changes so that it has the entries of one who joins. Raises Failure; nothing is written."""
    found = find_config(config.path)
    if config.holds_token and (repository := files.repository_of(found.real)) is not None:
        raise Failure(
            f"{found.path} leads into the repository {repository}, and would hold a token.",
            "Keep it outside of repositories, then repeat.",
        )
    written = record.files.get(str(found.real))
    if not config.syntax:
        return _plan_whole(found, written, key, config.text)
    owned = [(key, entry) for entry in config.entries]
    others = [] if written is None else [one for one in written.entries if one[0] != key]
    return _plan(found, written, [*others, *owned], config.syntax, config.holds_token)


def plan_leave(written: Written, key: str) -> Change:
    """Return how a file changes so that one who leaves has no entries in it. Raises Failure; nothing is written."""
    found = find_config(Path(written.path))
    others = [one for one in written.entries if one[0] != key]
    if written.syntax:
        return _plan(found, written, others, written.syntax, written.is_private)
    if found.data is not None and digest(found.data) != written.digest:
        raise Failure(
            f"{found.path} was written by join and changed since, so it is left as it is.", "Remove it if you like."
        )
    return Change(found, None, None, None)


def _plan(found: Found, written: Written | None, owned: list[Owned], syntax: str, holds_token: bool) -> Change:
    try:
        base = _base_of(found, written, syntax)
        text = decode(Found(found.path, found.real, base.data, base.mode))
        merged = merge(SYNTAXES[syntax], text, [entry for _, entry in owned])
        is_same = found.data is not None and _is_same(syntax, decode(found), merged.text)
    except ConflictError as error:
        raise Failure(
            f"{found.path} is left as it is: {error}.", "Remove that from the file, then repeat. Or see --print."
        ) from None
    except BrokenError as error:
        raise Failure(f"{found.path} is left as it is: {error}.", "Correct the file, then repeat.") from None
    added = [one for one in owned if one[1] in merged.added]
    if not added:
        return Change(found, base.data, base.mode, None)
    mode = PRIVATE_FILE if holds_token else base.mode
    if is_same and written is not None:
        return Change(found, found.data, mode, replace(written, entries=added, is_private=holds_token))
    after = encode(merged.text, found)
    kept = Written(str(found.real), syntax, base.data, base.mode, digest(after), holds_token)
    return Change(found, after, mode, replace(kept, entries=added, created=list(merged.created)))


def _base_of(found: Found, written: Written | None, syntax: str) -> _Base:
    """Return a file without the entries of ours. Raises Failure, BrokenError."""
    if written is None or found.data is None:
        return _Base(found.data, found.mode)
    if digest(found.data) == written.digest:
        return _Base(written.base, written.mode)
    before = decode(found)
    text = strip(SYNTAXES[syntax], before, [entry for _, entry in written.entries], written.created)
    mode = written.mode if written.is_private and found.mode == PRIVATE_FILE else found.mode
    if written.base is None and _is_empty(syntax, text):
        return _Base(None, None)
    return _Base(found.data if text == before else encode(text, found), mode)


def _is_empty(syntax: str, text: str) -> bool:
    """Whether nothing of anybody's is in a text."""
    return SYNTAXES[syntax].load(text) == {} and COMMENT.search(text) is None


def _is_same(syntax: str, text: str, other: str) -> bool:
    return bool(SYNTAXES[syntax].load(text) == SYNTAXES[syntax].load(other))


def _plan_whole(found: Found, written: Written | None, key: str, text: str) -> Change:
    data = text.encode()
    is_ours = written is not None and found.data is not None and digest(found.data) == written.digest
    if found.data is not None and not is_ours and found.data != data:
        raise Failure(f"{found.path} exists, and join did not write it.", "Move it away, then repeat.")
    if found.data is not None and written is None:
        return Change(found, found.data, None, None)
    kept = Written(str(found.real), "", None, None, digest(data), entries=[(key, WHOLE_FILE)])
    return Change(found, data, None, kept)


# ------------------------------------------------------------------ carrying out


def carry_out(record: Record, changes: Sequence[Change], save: Callable[[], None]) -> None:
    """Write files. Each is recorded before it is written, so that a leave finds what a crash left behind."""
    for change in changes:
        path = str(change.found.real)
        if change.written is not None:
            record.files[path] = change.written
            record.folders += [one for one in files.missing_folders(change.found.real) if one not in record.folders]
            save()
        _write(change)
        if change.written is None and record.files.pop(path, None) is not None:
            record.folders = files.remove_empty(record.folders)
            save()


def _write(change: Change) -> None:
    if not change.is_one:
        return
    if change.after is None:
        files.remove(change.found)
    else:
        files.replace(change.found, change.after, change.mode)


def _lines(data: bytes | None) -> list[str]:
    return [] if data is None else data.decode("utf-8", "replace").splitlines()


def _without_commas(lines: list[str]) -> list[str]:
    return [line.rstrip(", ") for line in lines]


def _shown(line: str) -> str:
    line = TOKEN.sub("tr_…", line)
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
