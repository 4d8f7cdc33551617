"""What a failure says of who called: the member that the room named, and never only the name that was typed (SAF7)."""

import pytest

from teamroom.clients.session.failure import NOT_AUTHORISED, Failure, Refused
from teamroom.clients.session.place import check_member
from tests.support.promises import promise

pytestmark = promise("SAF7")

FILE = "the file builder.token"


def test_a_failure_that_knows_its_caller_names_that_one_whatever_was_typed() -> None:
    with pytest.raises(Failure) as raised:
        check_member("nosuch", {"name": "builder"}, "Listen")
    failure = raised.value
    failure.name_caller("nosuch", FILE)
    assert failure.caller == f"You called as @builder, with the token from {FILE}."
    assert (failure.body["caller"], failure.body["token_from"]) == ("builder", FILE)
    assert "You called as @nosuch" not in failure.text()
    assert failure.exit_code == NOT_AUTHORISED


def test_a_refusal_of_the_room_names_the_member_whose_token_was_used() -> None:
    refused = Refused({"code": "paused", "why": "paused by @olga", "fix": "wait"})
    refused.name_caller("builder", FILE)
    assert refused.text().splitlines()[-1] == f"You called as @builder, with the token from {FILE}."


def test_a_refusal_of_an_unknown_token_names_nobody() -> None:
    refused = Refused({"code": "not_allowed", "why": "The token is unknown", "fix": "get one"})
    refused.name_caller(None, FILE)
    assert refused.caller == f"The call had the token from {FILE}."
    assert refused.body["caller"] is None


def test_the_first_name_stays_and_what_no_room_refused_names_nobody() -> None:
    refused = Refused({"code": "paused", "why": "x", "fix": "y"})
    refused.name_caller("builder", FILE)
    refused.name_caller("other", "elsewhere")
    assert "@builder" in refused.caller
    failed = Failure("No room answers", "Run `teamroom up`")
    failed.name_caller("builder", FILE)
    assert (failed.caller, set(failed.body)) == ("", {"why", "fix"})
