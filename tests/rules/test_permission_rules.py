"""Who may revoke which token, and how long a token may last that another one issues."""

from itertools import product

import pytest

from teamroom.server.rules.permissions import Party, latest_expiry, may_revoke
from tests.support.promises import promise

pytestmark = promise("CTL7", "ID4")

OLGA = Party(2, "human", "owner", 2)
PIA = Party(3, "human", "operator", 3)
HANNA = Party(4, "human", "member", 4)
OP = Party(5, "agent", "operator", 2)
HERS = Party(6, "agent", "member", 3)
BERT = Party(7, "agent", "member", 2)
DOG = Party(8, "agent", "watchdog", 3)
EVERYBODY = (OLGA, PIA, HANNA, OP, HERS, BERT, DOG)

MAY = {
    OLGA: set(EVERYBODY),
    PIA: {PIA, HERS},
    HANNA: {HANNA},
    OP: {OP},
    HERS: {HERS},
    BERT: {BERT},
    DOG: {DOG},
}
"""Whose tokens each may revoke that somebody else issued."""


@pytest.mark.parametrize("caller", EVERYBODY)
def test_everybody_revokes_their_own_tokens_a_person_those_of_its_agents_and_an_owner_all(caller: Party) -> None:
    for holder, issuer in product(EVERYBODY, (None, OLGA.member)):
        expected = holder in MAY[caller] or (caller is OLGA)
        assert may_revoke(caller, holder, issuer) == expected, holder


@pytest.mark.parametrize("caller", EVERYBODY)
def test_who_issued_a_token_of_an_agent_may_revoke_it_but_never_a_persons_or_a_watchdogs(caller: Party) -> None:
    for holder in EVERYBODY:
        expected = holder in MAY[caller] or holder in (HERS, BERT, OP)
        assert may_revoke(caller, holder, caller.member) == expected, holder


@pytest.mark.parametrize("caller", EVERYBODY)
def test_a_token_that_expires_binds_what_it_issues_to_its_own_member_and_to_people(caller: Party) -> None:
    for holder in EVERYBODY:
        is_bound = holder in (caller, OLGA, PIA, HANNA)
        assert latest_expiry(caller, 100.0, holder) == (100.0 if is_bound else None)
        assert latest_expiry(caller, None, holder) is None
