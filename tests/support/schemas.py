"""Schemas of one PostgreSQL database in which rooms of models are kept: made once, then emptied and used again.

To make a database for each room takes a tenth of a second, and to drop it half of one.
"""

import secrets
from contextlib import closing
from functools import cache
from typing import Any

import psycopg

from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_writer, migrate
from tests.support import postgres

COPY = """
do $$
declare
    one name;
begin
    set local session_replication_role to replica;  -- rows come in any order, and no trigger adds to them
    for one in select tablename from pg_tables where schemaname = '{into}' loop
        execute format('delete from {into}.%I', one);
        execute format('insert into {into}.%I select * from {source}.%I', one, one);
    end loop;
end
$$
"""


def take() -> str:
    """The name of a schema of this release without a room, that nobody uses."""
    if not _free:
        return _made_anew()
    schema = _free.pop()
    copy(_empty(), schema)
    return schema


def give_back(schema: str) -> None:
    """Nobody uses it any longer."""
    _free.append(schema)


def copy(source: str, into: str) -> None:
    """Give a schema what another one holds now."""
    _connection().execute(COPY.format(source=source, into=into).encode())


def address_of(schema: str) -> str:
    """The address of a room that is kept in a schema."""
    return f"{_database()}?options=-csearch_path%3D{schema}"


_free: list[str] = []


def _made_anew() -> str:
    schema = f"room_{secrets.token_hex(8)}"
    _connection().execute(f"create schema {schema}".encode())
    with closing(connect_writer(Address.parse(address_of(schema)), 60)) as session:
        migrate(session, 0.0)
    return schema


@cache
def _empty() -> str:
    return _made_anew()


@cache
def _database() -> str:
    return postgres.address_at(postgres.keep_database())


@cache
def _connection() -> "psycopg.Connection[Any]":
    return psycopg.connect(_database(), autocommit=True)
