"""How PostgreSQL runs a statement: at how many rows it looks."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_writer
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.postgres.translate import translate
from tests.support.postgres import address_at, drop_databases, make_database, require_server

REMOVED = ("Rows Removed by Filter", "Rows Removed by Index Recheck")


@contextlib.contextmanager
def filled_database(statements: Iterable[str]) -> Iterator[Session]:
    """A database that these statements fill, until the block ends. Skips the test where there is no server."""
    require_server()
    with contextlib.closing(connect_writer(Address.parse(address_at(make_database())), 60)) as session:
        for statement in statements:
            session.script(statement)
        yield session
    drop_databases()


def looked_at(session: Session, sql: str, values: Mapping[str, Any]) -> dict[str, int]:
    """How many rows of each table a statement looks at."""
    ((plans,),) = session.script(f"explain (analyze, format json) {with_values(sql, values)}").fetchall()
    found: dict[str, int] = {}
    for step in steps(plans[0]["Plan"]):
        if (table := step.get("Relation Name")) is not None:
            rows = step["Actual Rows"] + sum(step.get(name, 0) for name in REMOVED)
            found[table] = found.get(table, 0) + round(step["Actual Loops"] * rows)
    return found


def with_values(sql: str, values: Mapping[str, Any]) -> str:
    """A statement with its parameters written out."""
    plain = translate(sql)
    text = plain.text.decode()
    for number, name in reversed(list(enumerate(plain.names, 1))):
        text = text.replace(f"${number}", "'" + str(values[name]).replace("'", "''") + "'")
    return text


def steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A step of a plan, and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)
