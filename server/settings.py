"""Every duration, cap and limit of a room: one frozen model, each value with a sentence and its bounds.

A value comes from `TEAMROOM_<NAME>` in the environment, else from `room.toml` in the data folder,
else from its default here.
"""

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

TrustLevel = Literal["declared", "attested", "proven"]

PEOPLE, CHANNELS = 32, 4
"""How many people have channels, and how many each."""

TIME_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]"


def scheme(channel: SecretStr) -> str:
    """What may be shown of a channel's URL: the word before its colon."""
    return channel.get_secret_value().partition("://")[0]


def _channel(channel: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]{0,31}", scheme(channel)) or "://" not in channel.get_secret_value():
        raise ValueError("a channel is a URL such as mailto://… or json://…")
    return channel


def _without_at(channels: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("@"): urls for name, urls in channels.items()}


def _zone(name: str) -> str:
    try:
        name == "UTC" or ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone that this machine knows, such as Europe/Berlin") from None
    return name


Channel = Annotated[SecretStr, Field(min_length=4, max_length=2000), AfterValidator(_channel)]
Channels = Annotated[list[Channel], Field(min_length=1, max_length=CHANNELS)]


class Policy(BaseModel):
    """The settings that a room owner can change while the room runs. Acts read them from `tx.policy`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trust: TrustLevel = Field("declared", description="What counts as having a capability.")
    wip_cap: int = Field(5, ge=1, le=100, description="How many tasks a member may hold at once.")
    hop_limit: int = Field(5, ge=1, le=50, description="How often a task is handed on before its owner decides.")
    lease_seconds: float = Field(3600, ge=60, le=86_400, description="The shortest lease of a claimed task.")
    lease_max_seconds: float = Field(86_400, ge=60, le=604_800, description="The longest lease of a claimed task.")
    busy_max_seconds: float = Field(14_400, ge=60, le=86_400, description="How far ahead long work may be declared.")
    offer_seconds: float = Field(900, ge=60, le=86_400, description="The shortest life of an offer.")
    review_seconds: float = Field(3600, ge=60, le=604_800, description="After this a review falls to the owner.")
    proof_seconds: float = Field(604_800, ge=60, le=31_536_000, description="How long a proven capability stays so.")
    attestation_seconds: float = Field(
        2_592_000, ge=60, le=31_536_000, description="How long an attested capability stays so."
    )
    notes_per_hour: int = Field(12, ge=1, le=1000, description="Notes of an agent shown one a line; more are folded.")
    asks_per_hour: int = Field(30, ge=1, le=1000, description="Asks an agent may post.")
    alerts_per_hour: int = Field(3, ge=1, le=1000, description="Alerts an agent may post.")
    exchange_rounds: int = Field(6, ge=1, le=100, description="Rounds of two agents without a task moving.")


POLICY = tuple(Policy.model_fields)
"""The names of the policy's values."""


class FixedSettings(BaseModel):
    """The settings that stay as they are while the server runs. Acts read them from `tx.settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # leases and work
    lease_intervals: int = Field(3, ge=1, le=100, description="A lease lasts at least this many intervals.")
    lease_grace_seconds: float = Field(60, ge=0, le=3600, description="An overdue task stays its holder's this long.")
    paused_overdue_seconds: float = Field(
        3600, ge=60, le=604_800, description="A member's own pause of this length makes its tasks overdue."
    )

    # hand-offs and reviews
    offer_intervals: int = Field(3, ge=1, le=100, description="An offer lives at least this many intervals.")

    # capabilities
    probe_seconds: float = Field(
        3600, ge=10, le=86_400, description="How long one probe is shown; its answer is taken for twice that."
    )

    # presence
    live_interval_seconds: float = Field(300, ge=10, le=3600, description="The interval of a member that is live.")
    connected_intervals: float = Field(1.5, ge=1, le=10, description="A silence of this many ends a connection.")
    suspect_intervals: float = Field(2, ge=1, le=100, description="A wake that waits this many makes suspect.")
    challenge_intervals: float = Field(1.5, ge=1, le=100, description="How many a challenge waits for its answer.")
    challenge_misses: int = Field(2, ge=1, le=10, description="So many unanswered challenges make a zombie.")
    gone_intervals: float = Field(3, ge=1, le=100, description="After this many silent intervals a member is gone.")
    take_overs: int = Field(3, ge=1, le=100, description="Listeners that may take each other's place in a minute.")
    take_over_alarm_seconds: float = Field(600, ge=60, le=86_400, description="An alarm about that at most this often.")
    forecast_answers: int = Field(
        3, ge=1, le=20, description="From so many measured answers on they are forecast from."
    )
    forecast_kept: int = Field(20, ge=3, le=100, description="How many of the newest answers a forecast is made of.")
    presence_write_seconds: float = Field(5, ge=0, le=60, description="Presence is written at most this often.")

    # reminders and the supervisor
    remind_task_seconds: float = Field(1800, ge=60, le=604_800, description="A task that stands still this long.")
    remind_blocked_seconds: float = Field(86_400, ge=60, le=604_800, description="The same of one that is blocked.")
    remind_ask_seconds: float = Field(900, ge=60, le=604_800, description="A question that waits this long.")
    remind_review_seconds: float = Field(1800, ge=60, le=604_800, description="A review that waits this long.")
    remind_proof_seconds: float = Field(3600, ge=60, le=604_800, description="A proof to renew, due this long.")
    remind_intervals: float = Field(1.5, ge=1, le=100, description="Never sooner than this many of its intervals.")
    remind_ask_intervals: float = Field(3, ge=1, le=100, description="The same of a question that waits.")
    remind_longest_seconds: float = Field(
        86_400, ge=60, le=2_592_000, description="The gap between reminders doubles up to this."
    )
    reminders_per_task: int = Field(5, ge=1, le=100, description="Reminders of one thing before its owner is told.")
    reminders_per_day: int = Field(12, ge=1, le=1000, description="Reminders that a member is sent in a day.")
    reminders_per_hour: int = Field(60, ge=1, le=10_000, description="Reminders that the room sends in an hour.")
    snooze_max_seconds: float = Field(604_800, ge=60, le=2_592_000, description="How long a task may be snoozed.")
    supervisor_seconds: float = Field(60, ge=5, le=3600, description="How long the supervisor's lease lasts.")
    clock_step_seconds: float = Field(5, ge=1, le=3600, description="A step of the clock that ends all judgements.")

    # quietness
    alerted: int = Field(5, ge=1, le=20, description="Members that an alert without addressee wakes at most.")
    wakes_from_one: int = Field(10, ge=1, le=1000, description="Wakes from one sender told one by one in a while.")
    wakes_seconds: float = Field(300, ge=1, le=86_400, description="That while; what is beyond is one digest in it.")

    # what reaches people outside the room
    notify: Annotated[dict[str, Channels], AfterValidator(_without_at)] = Field(
        {}, max_length=PEOPLE, description="Where each person is told: a list of Apprise URLs for each name."
    )
    notify_per_hour: int = Field(6, ge=1, le=100, description="Letters a person is sent in an hour; more are joined.")
    notify_group_seconds: float = Field(60, ge=0, le=3600, description="What comes within this is one letter.")
    notify_quiet: str = Field(
        "", pattern=rf"^({TIME_OF_DAY}-{TIME_OF_DAY})?$", description="Hours without a letter, such as 22:00-07:00."
    )
    notify_digest: str = Field(
        "08:00", pattern=rf"^({TIME_OF_DAY})?$", description="When people are sent the daily digest; empty: never."
    )
    notify_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", max_length=64, description="The time zone of both, such as Europe/Berlin."
    )
    notify_tries: int = Field(8, ge=1, le=20, description="How often one letter is tried on one channel.")
    notify_seconds: float = Field(15, ge=1, le=120, description="How long one try may take.")
    notify_link: str = Field(
        "", max_length=200, pattern=r"^(https?://[!-~]+)?$", description="An address that each letter ends with."
    )
    room_name: str = Field("", max_length=40, pattern=r"^[^\s\[\]]*$", description="What letters call this room.")

    # overnight
    look_seconds: float = Field(1800, ge=60, le=86_400, description="Looks at overnight closer than this are one.")
    first_look_seconds: float = Field(86_400, ge=60, le=2_592_000, description="How far back a first look goes.")

    # repeats and refusals
    repeat_seconds: float = Field(60, ge=0, le=3600, description="An equal call within this is a repeat.")
    request_id_seconds: float = Field(86_400, ge=60, le=2_592_000, description="How long a request id is kept.")
    refusal_window_seconds: float = Field(600, ge=1, le=86_400, description="Equal refusals within this are counted.")
    refusals_per_hour: int = Field(30, ge=1, le=1000, description="Receipts of refusals a member may leave.")

    # limits on the wire
    body_bytes: int = Field(262_144, ge=4096, le=4_194_304, description="The largest request body.")
    json_depth: int = Field(32, ge=8, le=256, description="The deepest nesting of a request body.")
    body_seconds: float = Field(10, ge=1, le=300, description="How long a request's head, and then its body, may take.")
    open_calls: int = Field(64, ge=1, le=1024, description="Calls and streams a member may have open at once.")
    listeners: int = Field(4096, ge=1, le=65_536, description="Streams and sessions that pushes go to, at once.")
    push_seconds: float = Field(1, ge=0, le=60, description="A listener is told of changes at most this often.")
    sessions: int = Field(10_000, ge=10, le=100_000, description="Sessions of older clients kept at once.")
    wait_seconds: float = Field(45, ge=1, le=50, description="How long wait_for_wake blocks by default.")
    wait_max_seconds: float = Field(50, ge=1, le=50, description="How long wait_for_wake blocks at most.")
    confirm_seconds: float = Field(120, ge=1, le=600, description="How long a person has to confirm a dangerous act.")
    stall_seconds: float = Field(20, ge=1, le=300, description="A client that takes nothing for this long is cut off.")
    stop_seconds: float = Field(1, ge=0.1, le=30, description="How long open streams may take to end on stop.")

    # the store
    batch_acts: int = Field(64, ge=1, le=1024, description="Acts that share one commit at most.")
    batch_seconds: float = Field(0.005, ge=0, le=1, description="How long a commit collects acts at most.")
    queue_acts: int = Field(1024, ge=16, le=65_536, description="Acts that may wait for the writer.")
    reserve_bytes: int = Field(
        8_388_608, ge=0, le=1_073_741_824, description="Disk space kept for pause, kill and resume; 0 keeps none."
    )
    readers: int = Field(2, ge=1, le=16, description="Connections that serve reads.")
    seal_seconds: float = Field(1, ge=0.1, le=60, description="The signed head is written at most this often.")
    backups_kept: int = Field(7, ge=1, le=1000, description="How many of a room's backups a folder keeps.")

    # what the server says of itself
    log_format: Literal["plain", "json"] = Field("plain", description="How the server's own log is written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="From which weight on.")

    # the door to the network
    host: str = Field("127.0.0.1", description="The address the room listens on.")
    port: int = Field(8765, ge=0, le=65_535, description="The port the room listens on.")
    allowed_hosts: list[str] = Field([], max_length=64, description="Further Host values, exact, with their port.")
    allowed_origins: list[str] = Field([], max_length=64, description="Origin values that may call; none by default.")

    @property
    def url(self) -> str:
        """Where members reach the room, without a path."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"


class Settings(FixedSettings, Policy):
    """What a room starts with. Times are in seconds, sizes in bytes or characters as the name says."""

    @cached_property
    def policy(self) -> Policy:
        """The part that a room owner can change while the room runs, as it is at the start."""
        return Policy(**{name: getattr(self, name) for name in POLICY})


Origin = Literal["default", "room.toml", "environment", "policy"]


def shown(name: str, value: Any) -> Any:
    """A value as it may be shown: of people's channels their kinds and number alone."""
    if name != "notify":
        return value
    return {person: dict(Counter(map(scheme, channels))) for person, channels in value.items()}


class SettingsError(Exception):
    """A value in the environment or in room.toml that the room cannot run with."""


def load(folder: Path | None = None, environment: dict[str, str] | None = None) -> Settings:
    """The settings in force for a data folder.

    Raises SettingsError when a value is unknown or out of bounds; the text names it and its source.
    """
    return load_with_origins(folder, environment)[0]


def load_with_origins(
    folder: Path | None = None, environment: dict[str, str] | None = None
) -> tuple[Settings, dict[str, Origin]]:
    """The settings in force, and where each value comes from."""
    from_file = _from_file(folder / "room.toml") if folder is not None else {}
    from_environment = _from_environment(dict(os.environ) if environment is None else environment)
    try:
        settings = Settings.model_validate({**from_file, **from_environment})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        source = f"TEAMROOM_{name.upper()}" if name in from_environment else "room.toml"
        raise SettingsError(f"{source}: {name}: {first['msg']}") from None
    origins: dict[str, Origin] = {}
    for name in Settings.model_fields:
        origins[name] = "environment" if name in from_environment else "room.toml" if name in from_file else "default"
    return settings, origins


NOT_ABOVE = (
    ("lease_seconds", "lease_max_seconds"),
    ("lease_grace_seconds", "lease_seconds"),
    ("remind_task_seconds", "lease_max_seconds"),
    ("remind_ask_seconds", "snooze_max_seconds"),
    ("remind_task_seconds", "remind_longest_seconds"),
    ("connected_intervals", "gone_intervals"),
    ("suspect_intervals", "gone_intervals"),
    ("forecast_answers", "forecast_kept"),
    ("reminders_per_task", "reminders_per_day"),
    ("reminders_per_day", "reminders_per_hour"),
    ("clock_step_seconds", "live_interval_seconds"),
    ("offer_seconds", "lease_max_seconds"),
    ("wait_seconds", "wait_max_seconds"),
    ("presence_write_seconds", "live_interval_seconds"),
    ("repeat_seconds", "request_id_seconds"),
    ("batch_acts", "queue_acts"),
)
"""Pairs of settings of which the first makes no sense above the second."""


def contradictions(settings: Settings) -> list[str]:
    """What contradicts itself in settings that are each within their bounds; the room runs, but not as they say."""
    return [
        f"{low} ({getattr(settings, low):g}) is above {high} ({getattr(settings, high):g})"
        for low, high in NOT_ABOVE
        if getattr(settings, low) > getattr(settings, high)
    ]


def with_policy(configured: Policy, document: str | None) -> Policy:
    """The policy in force: what the database holds, and where it is silent, what the settings say.

    `document`: the text in the database, None if there is none.

    Raises SettingsError when the policy is missing or cannot be read: whoever needs it must deny.
    """
    if document == "{}":
        return configured
    return configured.model_copy(update=policy_values(document))


@lru_cache(maxsize=8)
def policy_values(document: str | None) -> Mapping[str, Any]:
    """The values that a policy names, each checked. Raises SettingsError."""
    values, unreadable = salvaged(document)
    if unreadable:
        raise SettingsError(f"the policy cannot be read: {', '.join(unreadable)}")
    return values


def salvaged(document: str | None) -> tuple[dict[str, Any], list[str]]:
    """What can be read of a policy, and what of it cannot; `everything` where it is no JSON object, or missing."""
    try:
        given = json.loads(document or "")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return {}, ["everything"]
    values, unreadable = {}, []
    for name, value in given.items():
        try:
            values[name] = policy_value(name, value)
        except SettingsError:
            unreadable.append(name)
    return values, unreadable


def policy_value(name: str, value: Any) -> Any:
    """One value of the policy, checked. Raises SettingsError that says what it may be."""
    if name not in POLICY:
        raise SettingsError(f"{name} is no part of the policy")
    try:
        return getattr(Policy.model_validate({name: value}), name)
    except ValidationError as error:
        raise SettingsError(f"{name}: {error.errors()[0]['msg']}") from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None


def _from_environment(environment: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        raw = environment.get(f"TEAMROOM_{name.upper()}")
        if raw is not None:
            values[name] = _from_text(name, field.annotation, raw)
    return values


def _from_text(name: str, kind: Any, raw: str) -> Any:
    if kind == list[str]:
        return [item.strip() for item in raw.split(",") if item.strip()]
    if name != "notify":
        return raw
    try:
        return json.loads(raw or "{}")
    except (ValueError, RecursionError):
        raise SettingsError("TEAMROOM_NOTIFY: notify: it is no JSON object of lists of URLs") from None
