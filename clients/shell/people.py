"""Notifications: the channels of people, and test letters."""

import time
from typing import Annotated, Any

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import FAILED
from teamroom.clients.session.place import Place
from teamroom.clients.session.terminal import Styled, plain, print_json, print_rows
from teamroom.clients.session.times import with_local_times
from teamroom.clients.shell.app import Json, bare, command
from teamroom.clients.shell.reading import read

REQUEST_ID_BYTES = 12

LOOK_SECONDS = 0.2
LONGEST_SECONDS = 150.0
"""How often the deliveries of a test are checked, and for how long: longer than one attempt may take."""

CHANNELS = "teamroom://channels"


@command("Members")
def notify(
    place: Place,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", parser=bare, help="The person. Default: list all channels.")
    ] = None,
    json: Json = False,
) -> None:
    """Send a person a test letter. Shows which channels accepted it."""
    if name is None:
        reply = read(place, CHANNELS)
        print_json(reply) if json else _show_channels(reply)
        return
    show_outcomes(place, name, json)


def show_outcomes(place: Place, name: str, as_json: bool) -> None:
    """Send a person a test letter, print what became of it on each channel, and end the command with that."""
    reached = _send_test(place, name)
    if as_json:
        print_json({"name": name, "channels": reached})
    else:
        print_rows([[Styled(plain(channel["kind"])), Styled(_outcome(channel))] for channel in reached])
    raise typer.Exit(0 if all(channel["state"] == "delivered" for channel in reached) else FAILED)


def _send_test(place: Place, name: str) -> list[dict[str, Any]]:
    """Send a test letter; returns the person's channels once no delivery is pending. Raises Failure."""
    import secrets

    with connected(place) as room:
        request_id = secrets.token_hex(REQUEST_ID_BYTES)  # a second test is not a repeat of the first
        sent = room.call("notify", request_id=request_id, name=name)
        give_up_at = time.monotonic() + LONGEST_SECONDS
        while True:
            people = room.read(CHANNELS)["people"]
            reached = [channel for person in people if person["name"] == sent["name"] for channel in person["channels"]]
            waits = any(c["newest"] == sent["letter"] and c["state"] == "pending" for c in reached)
            if not waits or time.monotonic() > give_up_at:
                return reached
            time.sleep(LOOK_SECONDS)


def _outcome(channel: dict[str, Any]) -> str:
    why = f": {channel['reason']}" if channel["reason"] else ""
    return plain(f"{channel['state'] or 'pending'}{why}")


def _show_channels(reply: dict[str, Any]) -> None:
    """Print the channels, one per line."""
    from teamroom.server.acts.letters.channels import Channels

    found = Channels.model_validate(reply)
    rows = [
        [Styled(f"@{plain(person.name)}"), Styled(plain(channel.kind)), Styled(plain(with_local_times(channel.words)))]
        for person in found.people
        for channel in person.channels
    ]
    print_rows(rows)
    if not rows:
        print("There are no channels. To add one, run: teamroom letters channel add")
    if found.held:
        print(f"{found.held} notices wait because of the hourly limit or the quiet hours.")
