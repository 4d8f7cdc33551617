"""Checks of where members run: one that runs on two hosts at once answers twice, or not at all."""

from collections.abc import Iterator
from typing import Any

from teamroom.clients.local.findings import Finding
from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place
from teamroom.server.rules.text import cite

PAGES = 50
"""How many pages of the roster are read."""


def check_runtimes(place: Place) -> Iterator[Finding]:
    """Find members that run on two hosts at once. Without a room that answers, another check says so."""
    try:
        members = list(_members(place))
    except Failure:
        return
    doubled = [member for member in members if member.get("on_two_hosts")]
    for member in doubled:
        hosts = " and ".join(cite(one["host"]) for one in member["runtimes"] if one["host"] and one["alive"])
        yield Finding(
            "warning",
            "runtimes",
            f"@{member['name']} runs on {hosts} at the same time.",
            f"End one of them, or give it its own name: teamroom join --as NAME. See: teamroom roster {member['name']}",
        )
    if not doubled:
        yield Finding("ok", "runtimes", "No member runs on two hosts at once.")


def _members(place: Place) -> Iterator[dict[str, Any]]:
    after = None
    with connected(place) as room:
        for _ in range(PAGES):
            page = room.call("who", after=after)
            yield from page["members"]
            if (after := page["next"]) is None:
                return
