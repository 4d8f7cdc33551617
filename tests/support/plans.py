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
    """A database that these statements fill, until the block ends. Skips the test where there is no server.

    Statements are planned for any parameters, as the server's are once each has run a few times.
    """
    require_server()
    with contextlib.closing(connect_writer(Address.parse(address_at(make_database())), 60)) as session:
        for statement in statements:
            session.script(statement)
        session.script("set plan_cache_mode = force_generic_plan")
        yield session
    drop_databases()


def looked_at(session: Session, sql: str, values: Mapping[str, Any]) -> dict[str, int]:
    """How many rows of each table a statement looks at."""
    plain = translate(sql)
    given = ", ".join("'" + str(values[name]).replace("'", "''") + "'" for name in plain.names)
    session.script(f"prepare looked_at as {plain.text.decode()}")
    execute = f"execute looked_at({given})" if given else "execute looked_at"
    ((plans,),) = session.script(f"explain (analyze, format json) {execute}").fetchall()
    session.script("deallocate looked_at")
    found: dict[str, int] = {}
    for step in steps(plans[0]["Plan"]):
        if (table := step.get("Relation Name")) is not None:
            rows = step["Actual Rows"] + sum(step.get(name, 0) for name in REMOVED)
            found[table] = found.get(table, 0) + round(step["Actual Loops"] * rows)
    return found


def steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A step of a plan, and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)
