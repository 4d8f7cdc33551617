"""A drill of the kill switch: kills a temporary member, whose token must stop working immediately."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from teamroom.clients.local.findings import Finding
from teamroom.clients.session.blocking import BlockingRoom, connected
from teamroom.clients.session.connection import Answer, Connection
from teamroom.clients.session.failure import Failure, UnreachableError
from teamroom.clients.session.place import Place
from teamroom.clients.session.protocol import call_tool

NAME = "kill-drill"
"""The member that every drill revives and kills, so that drills leave only one member behind."""

LABEL = "drill"
REASON = "a drill of the kill switch by teamroom doctor"
REFUSED_SECONDS = 5.0
"""The timeout of the call with the killed member's token."""


def kill_drill(place: Place) -> Iterator[Finding]:
    """Enroll a member, let it act, kill it, and call again with its token. Raises Failure."""
    started, killed, answer = _drill(place)
    if _code(answer) == "killed":
        found = (
            f"@{NAME} acted and was killed in {(killed - started) * 1000:.0f} ms; its next call was refused "
            f"as killed {(time.perf_counter() - started) * 1000:.0f} ms after the kill was sent."
        )
        yield Finding("ok", "drill", found)
    else:
        found = f"@{NAME} was killed, and its next call got HTTP {answer.status} and was not refused as killed."
        yield Finding(
            "problem", "drill", found, "Stop the room, because kills do not take effect. Then report this bug."
        )


def _drill(place: Place) -> tuple[float, float, Answer]:
    """Return when the kill was sent, when it was answered, and the answer to the killed member's next call."""
    with connected(place) as room:
        token = enroll(room)
        as_member = replace(place, token_file=None, environment={**place.environment, "TEAMROOM_TOKEN": token})
        try:
            with connected(as_member) as agent:
                agent.call("heartbeat")
        finally:
            started = time.perf_counter()
            room.call("kill", target=NAME, reason=REASON)
            killed = time.perf_counter()
        return started, killed, _call_again(place.endpoint, token)


def enroll(room: BlockingRoom) -> str:
    """Enroll or revive the drill's member; returns its token. Raises Failure if a live member has its name."""
    try:
        there = (room.call("who", name=NAME))["members"]
    except Failure as failure:
        if failure.body.get("code") != "not_found":
            raise
        there = []
    if there and there[0]["standing"] != "killed":
        raise Failure(
            f"The room has a live member @{NAME}, left by an interrupted drill or enrolled by somebody.",
            f"If nobody uses it, run: teamroom kill {NAME} --reason 'left by a drill'",
        )
    reply = room.call("enroll", name=NAME, label=LABEL, revive=bool(there))
    return str(reply["token"])


def _call_again(url: str, token: str) -> Answer:
    beat = call_tool("heartbeat", {})
    try:
        with Connection(url, REFUSED_SECONDS) as connection:
            return connection.post(beat.body(1), beat.headers(token))
    except UnreachableError as failure:
        raise Failure(f"The killed member's call got no answer ({failure.fault}).", "Run the drill again.") from None


def _code(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)["result"]["structuredContent"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
