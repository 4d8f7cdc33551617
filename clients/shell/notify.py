"""`teamroom notify`: who is told outside the room, and a test letter whose way is followed to its end."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import anyio

from teamroom.clients.doctor.findings import Finding
from teamroom.clients.local.verify import reading
from teamroom.clients.session.failure import FAILED
from teamroom.clients.session.place import Place
from teamroom.clients.session.room import connected, run
from teamroom.clients.session.steady import REQUEST_ID_BYTES
from teamroom.clients.session.terminal import aligned, plain, print_json
from teamroom.server.acts.letters.channels import Channel, Channels, Notified, channels_of
from teamroom.server.notify.channels import INSTALL, is_installed, is_understood
from teamroom.server.settings import SettingsError, load

LOOK_SECONDS = 0.2
LONGEST_SECONDS = 150.0
"""How often it is looked what became of a test, and for how long: longer than a try may take."""


def notify(place: Place, name: str, as_json: bool) -> int:
    """Send a test letter and say what became of it; returns the exit code. Raises Failure."""
    found = run(lambda: _sent(place, name))
    if as_json:
        print_json({"name": name, "channels": [channel.model_dump() for channel in found]})
    else:
        for line in aligned([[plain(channel.kind), _outcome(channel)] for channel in found]):
            print(line)
    return 0 if all(channel.state == "delivered" for channel in found) else FAILED


def show_channels(reply: dict[str, Any], as_json: bool) -> None:
    """Who has channels, one line each."""
    if as_json:
        print_json(reply)
        return
    found = Channels.model_validate(reply)
    rows = [
        [f"@{plain(person.name)}", plain(channel.kind), plain(channel.words)]
        for person in found.people
        for channel in person.channels
    ]
    print("\n".join(aligned(rows)) or "Nobody is told outside the room. Channels stand in room.toml, under [notify].")
    if found.held:
        print(f"{found.held} notices are held for the cap or the quiet hours.")


def _outcome(channel: Channel) -> str:
    why = f": {channel.reason}" if channel.reason else ""
    return plain(f"{channel.state or 'pending'}{why}")


def channels(place: Place) -> Iterator[Finding]:
    """What doctor finds: how each person is told outside the room, and whether it arrives. Nothing where nobody is."""
    try:
        settings = load(place.folder, dict(place.environment))
    except SettingsError:
        return  # said beside the settings
    if not settings.notify:
        return
    if not is_installed():
        yield Finding("problem", "notify", "People have channels, but apprise is not installed.", f"Run: {INSTALL}")
    with reading(place.folder, settings) as tx:
        found = channels_of(tx, None)
    for person in found.people:
        if not person.is_here:
            missing = f"@{person.name} has channels, but is no person of this room."
            yield Finding("warning", "notify", missing, "Correct the name in room.toml.")
        for number, channel in enumerate(person.channels if person.is_here else ()):
            said = f"@{person.name} by {channel.kind} ({number + 1} of {len(person.channels)}): {channel.words}."
            if is_installed() and not is_understood(settings.notify[person.name][number].get_secret_value()):
                yield Finding("problem", "notify", f"{said} Its URL is not understood.", "Correct it in room.toml.")
            elif channel.state == "failed":
                yield Finding("warning", "notify", said, f"Try it: teamroom notify {person.name}")
            else:
                yield Finding("ok", "notify", said)


async def _sent(place: Place, name: str) -> list[Channel]:
    async with connected(place) as room:
        request_id = secrets.token_hex(REQUEST_ID_BYTES)  # each test is one of its own, however soon it follows another
        sent = Notified.model_validate(await room.call("notify", request_id=request_id, name=name))
        until = time.monotonic() + LONGEST_SECONDS
        while True:
            found = Channels.model_validate(await room.read("teamroom://channels"))
            reached = [channel for person in found.people if person.name == sent.name for channel in person.channels]
            waits = any(channel.newest == sent.letter and channel.state == "pending" for channel in reached)
            if not waits or time.monotonic() > until:
                return reached
            await anyio.sleep(LOOK_SECONDS)
