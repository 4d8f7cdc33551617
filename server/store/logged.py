"""The rows that the log determines: `teamroom verify` rebuilds them from the log and compares them.

A transaction notes each of these rows before a statement changes it. The statements need no mark for that: the `where`
of an `update` or a `delete` says which rows it changes, and an `insert` names its key. At the end of an act, its newest
entry gets what became of these rows (`record/rows.py`).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

Key = tuple[int | float | str, ...]
"""The key of a row in its table."""

Row = tuple[Any, ...]
"""A row of a logged table: its key, its columns and its words, in the order of the declaration."""


@dataclass(frozen=True)
class Logged:
    """A table whose rows the log determines.

    `columns` are compared as they are. `words` are compared by digest, and a redaction removes that digest too.
    `secret`: a column that is compared by digest, and never named with its value.
    `unfinished`: which rows a baseline lists, if not all; see `record/baseline.py`.
    `absent`: columns that the database does not have yet, because a later release added them. They count as null.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    secret: str = ""
    unfinished: str = "1 = 1"
    absent: frozenset[str] = frozenset()

    @cached_property
    def selects(self) -> str:
        """The beginning of a statement that reads rows of this table."""
        names = (*self.key, *self.columns, *self.words)
        read = ", ".join(f"null as {name}" if name in self.absent else name for name in names)
        return f"select {read} from {self.table}"

    @cached_property
    def one(self) -> str:
        """The statement that reads the row with a key."""
        return f"{self.selects} where {' and '.join(f'{name} = :{name}' for name in self.key)}"

    @cached_property
    def page(self) -> str:
        """The statement that reads a page of rows in the order of their keys."""
        keys, after = ", ".join(self.key), ", ".join(f":{name}" for name in self.key)
        return f"{self.selects} where ({keys}) > ({after}) order by {keys} limit :limit"

    @cached_property
    def unfinished_page(self) -> str:
        """The statement that reads a page of the rows that a baseline lists."""
        return self.page.replace(" where ", f" where {self.unfinished} and ", 1)

    @cached_property
    def count(self) -> str:
        """The statement that counts the rows."""
        return f"select count(*) from {self.table}"

    def key_of(self, row: Row) -> Key:
        """The key of a row."""
        return tuple(row[: len(self.key)])

    def named(self, key: Key) -> dict[str, Any]:
        """A key as the parameters of a statement."""
        return dict(zip(self.key, key, strict=True))

    def facts(self, row: Row) -> dict[str, Any]:
        """The columns of a row by name."""
        return dict(zip(self.columns, row[len(self.key) : len(self.key) + len(self.columns)], strict=True))

    def texts(self, row: Row) -> dict[str, Any]:
        """The words of a row by the name of their column."""
        return dict(zip(self.words, row[len(self.key) + len(self.columns) :], strict=True))


TABLES: dict[str, Logged] = {
    logged.table: logged
    for logged in (
        Logged("member", ("id",), ("name", "folded", "looks", "kind", "role", "owner")),
        Logged("former_name", ("name",), ("folded", "looks", "member", "seq")),
        Logged(
            "token",
            ("id",),
            ("member", "hash", "expires_at", "revoked_at", "kind", "issued_by"),
            ("label",),
            "hash",
        ),
        Logged("standing", ("scope", "target"), ("state", "since", "until", "by_member", "by_role"), ("reason",)),
        Logged("pause", ("scope", "target", "since"), ("until",)),
        Logged("policy", ("id",), ("document",)),
        Logged(
            "task",
            ("id",),
            (
                *("priority", "due", "creator", "state", "assigned", "holder", "fence", "snooze_until", "review"),
                *("reviewer", "completed_by", "completed_at", "hops", "snooze_date", "authorised"),
            ),
            ("blocked_on", "requires"),
            unfinished="state not in ('done', 'cancelled')",
        ),
        Logged("dependency", ("task", "needs_task"), unfinished="1 = 0"),
        Logged(
            "origin",
            ("task",),
            ("seq", "created_date", "closed_date"),
            ("external", "given"),
            unfinished="1 = 0",
        ),
        Logged("repair", ("task",), ("member",)),
        Logged(
            "offer",
            ("id",),
            ("task", "giver", "receiver", "fence", "state", "expires_at"),
            ("note", "needs", "artifacts", "reason"),
            unfinished="state = 'offered'",
        ),
        Logged("verdict", ("task", "seq"), ("completer", "reviewer", "upheld"), unfinished="1 = 0"),
        Logged(
            "decision",
            ("id",),
            ("asker", "task", "state", "expires_at", "choice", "decided_by", "settled_at", "replaces", "replaced_by"),
            ("question", "detail", "options", "artifacts", "digest", "note"),
        ),
        Logged("asked", ("decision", "member")),
        Logged("letter_setting", ("member",), ("quiet", "per_hour", "zone", "digest_time", "suspects", "numbered")),
        Logged("channel", ("member", "number"), ("kind", "mark", "added_at")),
        Logged(
            "authorisation",
            ("id",),
            ("level", "target", "uses", "used", "made_by", "expires_at", "revoked_at", "revoked_by"),
            ("scope", "reason"),
        ),
        Logged("approval_rule", ("id",), ("level", "target", "matched", "exceptions", "scope", "made_by")),
        Logged("approval", ("decision",), ("member", "epoch", "used_at"), ("call",)),
    )
}
"""Every logged table by its name. A column that a migration adds must begin as null, 0 or ''."""

FIRST: dict[str, Key] = {
    table: tuple("" if name in ("scope", "name") or table == "token" else -(2**53) for name in logged.key)
    for table, logged in TABLES.items()
}
"""A key before every key of a table."""


def tables_of(places: Collection[str]) -> dict[str, Logged]:
    """The logged tables of a database with these columns, which an earlier release may have made: `task.holder`, …"""
    found = {}
    for table, logged in TABLES.items():
        absent = frozenset(n for n in (*logged.columns, *logged.words) if f"{table}.{n}" not in places)
        if all(f"{table}.{name}" in places for name in logged.key):
            found[table] = replace(logged, absent=absent) if absent else logged
    return found


NEW_EPOCH: frozenset[str] = frozenset({"raise_fences", "free_every_task", "void_open_offers"})
"""Statements of a restore that change every row of a table. The rebuild knows what they do (`record/rows.py`)."""


class Change(NamedTuple):
    """What a statement changes: rows of a logged table, and the statement that reads them before.

    `key`: the values that an insert gives to the key, as it spells them; None for an update or a delete.
    `is_new`: it is an insert, which fails if there is such a row.
    """

    logged: Logged
    reads: str
    key: tuple[str, ...] | None = None
    is_new: bool = False
    names: tuple[str, ...] = ()
    """The parameters that `reads` has."""

    def inserted(self, parameters: Mapping[str, Any]) -> Key | None:
        """The key of the row that an insert adds; None for an update or a delete."""
        if self.key is None:
            return None
        return tuple(parameters[value[1:]] if value.startswith(":") else int(value) for value in self.key)


@cache
def change_of(sql: str) -> Change | None:
    """The logged rows that a statement changes; None if it changes none. Raises ValueError for an unknown form."""
    words = re.match(r"(insert\s+into|update|delete\s+from)\s+(\w+)\s", sql, re.IGNORECASE)
    logged = TABLES.get(words[2]) if words is not None else None
    if words is None or logged is None:
        return None
    if words[1].lower().startswith("insert"):
        key = _inserted(sql, logged)
        condition = " and ".join(f"{name} = {value}" for name, value in zip(logged.key, key, strict=True))
        is_new = re.search(r"\bon conflict\b", sql, re.IGNORECASE) is None
        return _change(logged, condition, key, is_new)
    assigned, condition = _updated(sql)
    if words[1].lower() == "update" and not assigned & {*logged.key, *logged.columns, *logged.words}:
        return None
    return _change(logged, condition)


def _change(logged: Logged, condition: str, key: tuple[str, ...] | None = None, is_new: bool = False) -> Change:
    reads = f"{logged.selects} where {condition}"
    return Change(logged, reads, key, is_new, tuple(re.findall(r":(\w+)", reads)))


def _inserted(sql: str, logged: Logged) -> tuple[str, ...]:
    """The values that an insert gives to the key: parameters or numbers."""
    form = re.match(r"insert\s+into\s+\w+\s*\((?P<names>[^)]*)\)\s*values\s*(?P<rest>\(.*)$", sql, re.I | re.S)
    if form is None:
        raise ValueError(f"an insert into {logged.table} must name its columns and have values: {sql}")
    rest = form["rest"]
    values = _split(rest[1 : next(at for at, depth in _depths(rest) if depth == 0)])
    given = dict(zip(_split(form["names"]), values, strict=True))
    return tuple(given[name] for name in logged.key)


def _updated(sql: str) -> tuple[set[str], str]:
    """The columns that an update assigns, and its condition."""
    places = [at for at, depth in _depths(sql) if depth == 0 and re.match(r"where\b", sql[at:], re.I)]
    end = places[-1] if places else len(sql)
    set_at = re.search(r"\bset\b", sql, re.I)
    assigned = _split(sql[set_at.end() : end]) if set_at is not None else []
    return {part.split("=")[0].strip() for part in assigned}, sql[end + len("where") :].strip() or "1 = 1"


def _split(text: str) -> list[str]:
    """The parts of a list, which commas separate."""
    parts, begin = [], 0
    for at, depth in _depths(text):
        if text[at] == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return [*parts, text[begin:].strip()]


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Each place of a text outside quotes, with how many parentheses are open after it."""
    depth, quoted = 0, False
    for at, character in enumerate(text):
        quoted ^= character == "'"
        if not quoted:
            depth += (character == "(") - (character == ")")
            yield at, depth
