"""What one act of a batch found, others of it use, unless the act that found it was undone or it changed since."""

from typing import Any

import pytest

from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Head, Writing
from tests.support.promises import promise

pytestmark = promise("CTL8")


class Row:
    """A connection whose policy can be set, and whose statements find nothing else."""

    rowcount = 1
    description = (("document",),)

    def __init__(self) -> None:
        self.policy: str | None = "{}"

    def execute(self, sql: str, parameters: Any) -> "Row":
        if sql.startswith("insert into policy"):
            self.policy = parameters["document"]
        return self

    def fetchone(self) -> Any:
        return None if self.policy is None else (self.policy,)

    def fetchall(self) -> list[Any]:
        return []


def acts(count: int) -> tuple[Row, list[Writing]]:
    """Acts of one batch."""
    row = Row()
    found: dict[Any, Any] = {}
    context = Context(sqlite_statements(), Settings(), bytes)
    head = Head(1, 0, "", 0, 0, 0, 0, 0.0, 0.0, None)
    return row, [Writing(row, context, head, found=found) for _ in range(count)]


def test_an_act_sees_the_policy_that_an_earlier_one_of_its_batch_set() -> None:
    _, (first, second, third) = acts(3)
    before = first.policy.exchange_rounds
    second.run("set_policy", document=f'{{"exchange_rounds": {before + 1}}}')
    assert third.policy.exchange_rounds == second.policy.exchange_rounds == before + 1


def test_an_act_after_one_that_is_undone_does_not_see_the_policy_that_it_set() -> None:
    row, (first, second) = acts(2)
    before = first.policy.exchange_rounds
    first.run("set_policy", document=f'{{"exchange_rounds": {before + 1}}}')
    assert first.in_batch("policy", lambda: "its own") == "its own"
    row.policy = "{}"  # it is undone
    assert second.policy.exchange_rounds == before


def test_a_policy_that_is_missing_denies_each_act_of_a_batch() -> None:
    row, both = acts(2)
    row.policy = None
    for tx in both:
        with pytest.raises(Refusal):
            tx.policy.exchange_rounds  # noqa: B018
