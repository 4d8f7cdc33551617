"""Checks of the settings: their origins, contradictions and people's channels."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from teamroom.clients.local.findings import Finding
from teamroom.clients.local.snapshot import snapshot
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place
from teamroom.server.acts.letters.channels import channels_of
from teamroom.server.facts.channels import configured_channels, find_channels, people_with_channels
from teamroom.server.notify.addresses import UnreadableError, read_addresses
from teamroom.server.notify.channels import INSTALL, is_installed, is_understood
from teamroom.server.policy import SettingsError, policy_values
from teamroom.server.settings import Origin, Settings, contradictions, load, load_with_origins, shown
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.transaction import Reading


def settings_table(place: Place) -> dict[str, dict[str, Any]]:
    """Return the settings in force with their origins; empty if they cannot be read.

    Those of a room that cannot be read are without its policy.
    """
    try:
        settings, origins = load_with_origins(place.folder, dict(place.environment))
        with contextlib.suppress(Failure):
            settings, origins = _with_policy(place, settings, origins)
    except SettingsError:
        return {}
    values = settings.model_dump(mode="json")
    values |= {name: shown(name, getattr(settings, name)) for name in ("notify", "database")}
    return {name: {"value": values[name], "origin": origins[name]} for name in Settings.model_fields}


def check_settings(place: Place) -> Iterator[Finding]:
    """Check that the settings and the policy can be read and are consistent."""
    unread = None
    try:
        settings, origins = load_with_origins(place.folder, dict(place.environment))
    except SettingsError as error:
        yield Finding("problem", "settings", str(error), "Correct it. The room does not start until then.")
        return
    try:
        settings, origins = _with_policy(place, settings, origins)
    except Failure as failure:
        unread = failure
    except SettingsError as error:
        fix = "Set it again: `teamroom policy NAME VALUE`. To see the names, run `teamroom policy`."
        yield Finding("problem", "settings", f"Acts are refused: {error}.", fix)
        return
    changed = [name for name, origin in origins.items() if origin != "default"]
    for pair in contradictions(settings):
        yield Finding("warning", "settings", f"{pair}.", "Correct one of them in room.toml or with `teamroom policy`.")
    yield _where_to_join(settings)
    found = f"{len(origins)} in force, {len(changed)} of them changed" + (
        ": " + ", ".join(f"{name} = {shown(name, getattr(settings, name))} ({origins[name]})" for name in changed)
        if changed
        else ""
    )
    yield Finding("ok", "settings", f"{found}.")
    if unread is not None:
        raise unread


def _where_to_join(settings: Settings) -> Finding:
    """Report the address that members are told, and warn if others reach the room elsewhere."""
    told = f"Members are told to join at {settings.members_url}"
    if settings.public_url or not settings.allowed_hosts:
        return Finding("ok", "address", f"{told} ({'public_url' if settings.public_url else 'public_url is not set'}).")
    hosts = ", ".join(settings.allowed_hosts)
    fix = 'Set public_url in room.toml, for example: public_url = "https://room.example.org".'
    return Finding("warning", "address", f"{told}, although others reach the room at {hosts}.", fix)


def _with_policy(place: Place, settings: Settings, origins: dict[str, Origin]) -> tuple[Settings, dict[str, Origin]]:
    """Return the settings with the room's policy applied, and the origin of each value.

    Raises SettingsError if the policy cannot be read, and Failure if the room cannot be.
    """
    if not _has_room(place, settings):
        return settings, origins
    with snapshot(place.folder, settings) as tx:
        document = tx.value(str, "policy")
    values = policy_values(document)
    return settings.model_copy(update=dict(values)), origins | dict.fromkeys(values, "policy")


def _has_room(place: Place, settings: Settings) -> bool:
    """Whether the folder holds a room, or names the database that does."""
    return bool(settings.database.get_secret_value()) or (place.folder / DATABASE).exists()


def check_channels(place: Place) -> Iterator[Finding]:
    """Check the channels of people and their newest deliveries. Without channels, there are no findings."""
    try:
        settings = load(place.folder, dict(place.environment))
    except SettingsError:
        return  # check_settings reports it
    if not _has_room(place, settings):
        return
    kept = None
    try:
        kept = read_addresses(place.folder).addresses
    except UnreadableError as error:
        fix = "Move the file away, restart the room, and let people add their channels again."
        yield Finding("problem", "notify", f"{error}.", fix)
    with snapshot(place.folder, settings) as tx:
        if "channel.mark" not in tx.column(str, "places"):  # an earlier release wrote this room
            return
        found, addresses = channels_of(tx, None), _addresses(tx, kept or {})
    if found.people and not is_installed():
        yield Finding("problem", "notify", "Channels are configured, but apprise is not installed.", f"Run: {INSTALL}")
    for person in found.people:
        if not person.is_here:
            missing = f"Channels are configured for @{person.name}, who is not a person in this room."
            yield Finding("warning", "notify", missing, "Correct the name in room.toml.")
        for number, channel in enumerate(person.channels if person.is_here else ()):
            words = f"@{person.name} by {channel.kind} ({number + 1} of {len(person.channels)}): {channel.words}."
            url = addresses.get((person.name, number))
            if url is None and channel.number and kept is not None:
                fix = f"Tell @{person.name} to remove channel {channel.number} and to add it again."
                yield Finding("problem", "notify", f"{words} Its address is not in this data folder.", fix)
            elif is_installed() and url is not None and not is_understood(url.get_secret_value()):
                fix = "Remove it and add it again." if channel.number else "Correct it in room.toml."
                yield Finding("problem", "notify", f"{words} Its URL is not valid.", fix)
            elif channel.state == "failed":
                yield Finding("warning", "notify", words, f"To test it, run: teamroom notify {person.name}")
            else:
                yield Finding("ok", "notify", words)


def _addresses(tx: Reading, kept: Mapping[str, str]) -> dict[tuple[str, int], SecretStr]:
    """The addresses of people's channels, by name and position. `kept`: those that people added, by mark."""
    found = dict[tuple[str, int], SecretStr]()
    named = [tx.one(MemberRow, "member_by_name", name=name) for name in tx.settings.notify]
    people = {row.id: row.name for row in named if row is not None} | {m.id: m.name for m in people_with_channels(tx)}
    for member, name in people.items():
        configured = configured_channels(tx, member, name)
        for position, channel in enumerate(find_channels(tx, member, name)):
            if not channel.mark:
                found[name, position] = configured[channel.slot]
            elif channel.mark in kept:
                found[name, position] = SecretStr(kept[channel.mark])
    return found
