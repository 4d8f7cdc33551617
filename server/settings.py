"""Every duration, cap and limit of a room, each with its bounds and one sentence.

A value comes from `TEAMROOM_<NAME>` in the environment, else from `room.toml` in the data folder,
else from its default here.
"""

import json
import os
import tomllib
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from teamroom.server.policy import POLICY, Policy, SettingsError
from teamroom.server.private import NotPrivateError, decode_text, read_private
from teamroom.server.rules.letters import LetterPlace
from teamroom.server.rules.wrong_values import say_wrong
from teamroom.server.setting_values import (
    PEOPLE,
    TIME_OF_DAY,
    ByName,
    Channels,
    check_database,
    check_zone,
    plain_url,
    scheme,
    without_password,
)

KEPT_PORT = "room.port"
"""The file in the data folder with the port of the last start. Members' configs name that port."""

HIGHEST_PORT = 65_535


class FixedSettings(BaseModel):
    """The settings that do not change while the server runs. Acts read them from `tx.settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # leases and work
    lease_intervals: int = Field(3, ge=1, le=100, description="Shortest lease, in check-in intervals of the holder.")
    lease_grace_seconds: float = Field(
        60, ge=0, le=3600, description="Seconds after expiry before another member can claim an overdue task."
    )
    paused_overdue_seconds: float = Field(
        3600, ge=60, le=604_800, description="Seconds of a member's own pause after which its tasks are overdue."
    )

    tokenless_seconds: float = Field(
        3600,
        ge=60,
        le=604_800,
        description="Seconds without any valid token after which a member's work is freed or given to others.",
    )

    # hand-offs and reviews
    offer_intervals: int = Field(
        3, ge=1, le=100, description="Shortest time an offer stays open, in check-in intervals of its receiver."
    )

    # capabilities
    probe_seconds: float = Field(
        3600,
        ge=10,
        le=86_400,
        description="Seconds for which a probe is shown; its answer is accepted for twice as long.",
    )

    # approvals
    open_approvals: int = Field(
        10, ge=1, le=20, description="Calls of one member that may wait for a person at once; further ones are refused."
    )
    approval_seconds: float = Field(
        86_400, ge=60, le=2_592_000, description="Seconds for which a call that a person allowed can pass once."
    )
    refused_call_seconds: float = Field(
        3600,
        ge=0,
        le=604_800,
        description="Seconds for which a call that a person refused stays refused; then a person is asked again.",
    )

    # presence
    live_interval_seconds: float = Field(
        300, ge=10, le=3600, description="Check-in interval of a member in mode live, in seconds."
    )
    connected_intervals: float = Field(
        1.5, ge=1, le=10, description="Silent check-in intervals after which a member no longer counts as connected."
    )
    suspect_intervals: float = Field(
        2, ge=1, le=100, description="Check-in intervals a wake may wait before the member becomes suspect."
    )
    challenge_intervals: float = Field(
        1.5, ge=1, le=100, description="Check-in intervals in which a challenge must be answered."
    )
    challenge_misses: int = Field(2, ge=1, le=10, description="Unanswered challenges after which a member is a zombie.")
    gone_intervals: float = Field(
        3, ge=1, le=100, description="Silent check-in intervals after which a member is gone."
    )
    run_still_seconds: float = Field(
        7200,
        ge=10,
        le=604_800,
        description="Seconds without a movement of its run after which a member becomes suspect.",
    )
    run_still_times: float = Field(
        3,
        ge=0,
        le=100,
        description="The same, as a multiple of the member's slowest run that answered; the longer span applies.",
    )
    challenge_answers: int = Field(
        3, ge=1, le=20, description="Wrong answers to one challenge after which no further answer to it counts."
    )
    take_overs: int = Field(
        3, ge=1, le=100, description="Take-overs of a member's listener in a minute; more raise an alarm."
    )
    take_over_alarm_seconds: float = Field(
        600, ge=60, le=86_400, description="Seconds between two such alarms about one member."
    )
    forecast_answers: int = Field(
        3,
        ge=1,
        le=20,
        description="Acts after wakes from which forecasts are made; with fewer, there is no estimate.",
    )
    forecast_kept: int = Field(
        20,
        ge=3,
        le=100,
        description="Maximum number of answers from which a forecast is made; the newest ones are used.",
    )
    presence_write_seconds: float = Field(
        5, ge=0, le=60, description="Seconds between two writes of a member's presence."
    )

    # reminders and the supervisor
    remind_task_seconds: float = Field(
        1800, ge=60, le=604_800, description="Seconds without progress before the first reminder of a task."
    )
    remind_blocked_seconds: float = Field(
        86_400, ge=60, le=604_800, description="Seconds before the first reminder of a blocked task."
    )
    remind_ask_seconds: float = Field(
        900,
        ge=60,
        le=604_800,
        description="Seconds before the first reminder of an open ask or decision.",
    )
    remind_review_seconds: float = Field(
        1800, ge=60, le=604_800, description="Seconds before the first reminder of a review."
    )
    remind_proof_seconds: float = Field(
        3600, ge=60, le=604_800, description="Seconds before the first reminder of a proof to renew."
    )
    remind_intervals: float = Field(
        1.5,
        ge=1,
        le=100,
        description="Shortest time before a first reminder, in check-in intervals; asks and decisions have their own.",
    )
    remind_ask_intervals: float = Field(
        3,
        ge=1,
        le=100,
        description="Shortest time before the first reminder of an ask or decision, in check-in intervals.",
    )
    remind_longest_seconds: float = Field(
        86_400,
        ge=60,
        le=2_592_000,
        description="Longest gap between two reminders, in seconds; the gap doubles up to this.",
    )
    reminders_per_task: int = Field(
        5, ge=1, le=100, description="Reminders about one thing; after these, the member's owner is told once."
    )
    reminders_per_day: int = Field(
        12, ge=1, le=1000, description="Reminders that a member is sent in a day; further ones are suppressed."
    )
    reminders_per_hour: int = Field(
        60, ge=1, le=10_000, description="Reminders that the room sends in an hour; further ones wait."
    )
    snooze_max_seconds: float = Field(
        604_800, ge=60, le=2_592_000, description="Longest time for which a task can be snoozed, in seconds."
    )
    decision_seconds: float = Field(
        604_800, ge=60, le=7_776_000, description="How long a decision stays open unless its asker says, in seconds."
    )
    authorization_seconds: float = Field(
        86_400, ge=60, le=31_536_000, description="How long an authorisation lasts unless its maker says, in seconds."
    )
    supervisor_seconds: float = Field(
        60, ge=5, le=3600, description="How long the supervisor's lease lasts, in seconds."
    )
    clock_step_seconds: float = Field(
        5, ge=1, le=3600, description="Step of the clock, in seconds, after which no member is judged for one interval."
    )

    # quiet
    alerted: int = Field(
        5, ge=1, le=20, description="Maximum number of members that an alert without addressees wakes."
    )
    wakes_from_one: int = Field(
        10, ge=1, le=1000, description="Wakes from one sender that a member is shown one by one within wakes_seconds."
    )
    wakes_seconds: float = Field(
        300, ge=1, le=86_400, description="Window of wakes_from_one, in seconds; further wakes in it form one digest."
    )

    # what reaches people outside the room
    notify: Annotated[dict[str, Channels], AfterValidator(ByName)] = Field(
        {}, max_length=PEOPLE, description="Channels of each person: a list of Apprise URLs for each name."
    )
    notify_per_hour: int = Field(
        6, ge=1, le=100, description="Letters that a person is sent in an hour; further notices wait and are joined."
    )
    notify_group_seconds: float = Field(
        60, ge=0, le=3600, description="Seconds within which notices are joined into one letter."
    )
    notify_quiet: str = Field(
        "",
        pattern=rf"^({TIME_OF_DAY}-{TIME_OF_DAY})?$",
        description="Quiet hours without letters, such as 22:00-07:00; empty: none.",
    )
    notify_digest: str = Field(
        "08:00",
        pattern=rf"^({TIME_OF_DAY})?$",
        description="Time of day of the daily digest, such as 08:00; empty: no digest.",
    )
    notify_zone: Annotated[str, AfterValidator(check_zone)] = Field(
        "UTC", max_length=64, description="Time zone of the quiet hours and the digest, such as Europe/Berlin."
    )
    notify_tries: int = Field(8, ge=1, le=20, description="Tries of one delivery; then it has failed.")
    notify_seconds: float = Field(15, ge=1, le=120, description="Seconds after which one try is given up.")
    notify_link: str = Field(
        "",
        max_length=200,
        pattern=r"^(https?://[!-~]+)?$",
        description="A further address at the end of each letter; empty: none.",
    )
    notify_private: bool = Field(
        False, description="Whether people may add channels on this machine and in private networks themselves."
    )
    room_name: str = Field("", max_length=40, pattern=r"^[^\s\[\]]*$", description="Name of this room in letters.")

    # overnight
    look_seconds: float = Field(
        1800, ge=60, le=86_400, description="Seconds within which looks at overnight count as one."
    )
    first_look_seconds: float = Field(
        86_400, ge=60, le=2_592_000, description="Seconds that the first look at overnight goes back."
    )

    # repeats and refusals
    repeat_seconds: float = Field(
        60, ge=0, le=3600, description="Seconds within which an equal call is a repeat of the first."
    )
    request_id_seconds: float = Field(
        86_400, ge=60, le=2_592_000, description="Seconds for which a request id is remembered."
    )
    refusal_window_seconds: float = Field(
        600, ge=1, le=86_400, description="Seconds within which equal refusals are counted in one receipt."
    )
    refusals_per_hour: int = Field(
        30,
        ge=1,
        le=1000,
        description="Receipts of refusals that a member may leave in an hour; further ones leave none.",
    )

    # the database
    database: Annotated[SecretStr, AfterValidator(check_database)] = Field(
        SecretStr(""),
        description="Address of a PostgreSQL database that holds the room, such as postgresql://teamroom@db/teamroom. "
        "Empty: one file in the data folder. It may contain a password, so it is never shown whole.",
    )
    key_file: str = Field(
        "",
        max_length=4096,
        description="File with a copy of room.key, for a further server of a room in PostgreSQL. A server without the "
        "key serves the room, and never seals its log.",
    )

    # limits on the wire
    body_bytes: int = Field(
        262_144, ge=4096, le=4_194_304, description="Largest request body, in bytes; a larger one is refused."
    )
    json_depth: int = Field(32, ge=8, le=256, description="Deepest nesting of a request body; a deeper one is refused.")
    body_seconds: float = Field(
        10, ge=1, le=300, description="Seconds in which a request's headers, and then its body, must arrive."
    )
    open_calls: int = Field(
        64,
        ge=1,
        le=1024,
        description="Calls and streams that a member may have open at once; further ones are refused.",
    )
    acts_per_second: float = Field(
        20,
        ge=1,
        le=1_000_000,
        description="Acts that an agent may make in a second on average; a person ten times that.",
    )
    acts_burst: int = Field(
        600, ge=1, le=10_000_000, description="Acts that an agent may make at once; a person ten times that."
    )
    bytes_per_day: int = Field(
        200_000_000,
        ge=1_000_000,
        le=1_000_000_000_000,
        description="Bytes of requests that an agent may send in a day; a person ten times that.",
    )
    refusals_per_minute: int = Field(
        60,
        ge=1,
        le=1_000_000,
        description="Refused calls of an agent in a minute, after which its calls are refused at once; "
        "a person may have ten times that.",
    )
    listeners: int = Field(
        4096,
        ge=1,
        le=65_536,
        description="Streams and sessions that the room pushes to at once; further ones are refused.",
    )
    push_seconds: float = Field(1, ge=0, le=60, description="Seconds between two pushes to one listener.")
    strangers: int = Field(
        512,
        ge=16,
        le=16_384,
        description="Connections without a valid token that may be open at once; for a further one, the longest idle "
        "one is closed.",
    )
    connections: int = Field(
        256,
        ge=16,
        le=16_384,
        description="Connections that a member may have open at once; for a further one, its longest idle one is "
        "closed.",
    )
    sessions: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Sessions of older clients that a member may have open at once; for a further one, its longest "
        "unused one is ended.",
    )
    session_idle_seconds: float = Field(
        3600, ge=1, le=86_400, description="Seconds after which an unused session of an older client is ended."
    )
    wait_seconds: float = Field(45, ge=1, le=50, description="Seconds that wait_for_wake blocks by default.")
    wait_max_seconds: float = Field(50, ge=1, le=50, description="Longest time that wait_for_wake blocks, in seconds.")
    confirm_seconds: float = Field(
        120, ge=1, le=600, description="Seconds in which a person must confirm a dangerous act, on the room's clock."
    )
    stall_seconds: float = Field(
        20, ge=1, le=300, description="Seconds after which a client that reads nothing is disconnected."
    )
    stop_seconds: float = Field(
        1, ge=0.1, le=30, description="Seconds in which open streams must end when the server stops."
    )

    # the page
    browser_seconds: float = Field(
        2_592_000, ge=60, le=31_536_000, description="Seconds after which a person must sign in to the page again."
    )

    # the store
    batch_acts: int = Field(64, ge=1, le=1024, description="Maximum number of acts that share one commit.")
    batch_member_acts: int = Field(
        8, ge=1, le=1024, description="Maximum number of acts of one member that share one commit."
    )
    batch_seconds: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Longest time for which a commit collects acts, in seconds; in PostgreSQL, twice as long.",
    )
    queue_acts: int = Field(
        1024, ge=16, le=65_536, description="Acts that may wait for the writer; further ones are refused with busy."
    )
    reserve_bytes: int = Field(
        8_388_608,
        ge=0,
        le=1_073_741_824,
        description="Disk space reserved for pause, resume, kill and revoke, in bytes; 0 reserves none.",
    )
    act_steps: int = Field(
        250_000,
        ge=20_000,
        le=1_000_000_000,
        description="Steps of the database that one act may read with; a larger act is refused with too_large.",
    )
    act_read_seconds: float = Field(
        1,
        ge=0.05,
        le=60,
        description="Seconds that one act may read for on PostgreSQL; a larger act is refused with too_large.",
    )
    pool_seconds: float = Field(
        1,
        ge=0.05,
        le=60,
        description="Longest wait for a connection of PostgreSQL; after it, a read is refused with busy.",
    )
    readers: int = Field(2, ge=1, le=16, description="Connections that serve reads; each member uses one at a time.")
    read_seconds: float = Field(
        2, ge=0.1, le=60, description="Seconds after which a read is ended and refused with too_large."
    )
    seal_seconds: float = Field(1, ge=0.1, le=60, description="Seconds between two seals of the log.")
    backups_kept: int = Field(7, ge=1, le=1000, description="Backups kept in a folder; older ones are deleted.")

    # the server's own log
    log_format: Literal["plain", "json"] = Field("plain", description="Format of the server's own log: plain or json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level of the server's own log."
    )

    # the network
    host: str = Field("127.0.0.1", description="Address that the server listens on.")
    port: int = Field(
        8765,
        ge=0,
        le=HIGHEST_PORT,
        description="Port that the server listens on; 0 takes a free one at the first start, and keeps it.",
    )
    allowed_hosts: list[str] = Field(
        [], max_length=64, description="Further Host header values, exact, with their port."
    )
    public_url: Annotated[str, AfterValidator(plain_url)] = Field(
        "",
        max_length=2000,
        description="Address that members reach, with the path of a proxy, such as https://room.example.org/team. "
        "Empty: host and port. It is in `enroll`, join lines and letters, and its host is allowed.",
    )
    allowed_origins: list[str] = Field(
        [], max_length=64, description="Origin header values that may call; none by default."
    )

    @property
    def url(self) -> str:
        """The address of the room for its members, without a path."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"

    @property
    def members_url(self) -> str:
        """The address that is given to members, without a slash at its end."""
        return self.public_url or self.url

    @property
    def letter_place(self) -> LetterPlace:
        """What letters call the room, and where they lead."""
        return LetterPlace(self.room_name, self.public_url, self.notify_link)

    @property
    def path_prefix(self) -> str:
        """The path under which a proxy shows the room, such as /team; empty for none."""
        return urlsplit(self.public_url).path

    @property
    def public_hosts(self) -> tuple[str, ...]:
        """The hosts of `public_url` as clients send them: with the port, and without one that its scheme implies."""
        parts = urlsplit(self.public_url)
        if not parts.netloc:
            return ()
        usual = {"http": 80, "https": 443}[parts.scheme]
        name = parts.netloc.removesuffix(f":{usual}")
        return (name, f"{name}:{usual}") if parts.port in (None, usual) else (name,)


class Settings(FixedSettings, Policy):
    """The settings that a room starts with. Times are in seconds, sizes in the unit that ends the name."""

    @cached_property
    def policy(self) -> Policy:
        """The part that a room owner can change while the room runs, as it is at the start."""
        return Policy(**{name: getattr(self, name) for name in POLICY})


Origin = Literal["default", "room.toml", "environment", "policy", "last start"]


def shown(name: str, value: Any) -> Any:
    """A value as it may be shown: a database without its password, and of a person's channels how many of each kind."""
    if name == "database":
        return without_password(value)
    if name != "notify":
        return value
    return {person: dict(Counter(map(scheme, channels))) for person, channels in value.items()}


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
        raise SettingsError(f"{source}: {name}: {say_wrong(first)}") from None
    origins: dict[str, Origin] = {}
    for name in Settings.model_fields:
        origins[name] = "environment" if name in from_environment else "room.toml" if name in from_file else "default"
    if (settings.port == 0 or origins["port"] == "default") and (kept := kept_port(folder)) is not None:
        settings, origins["port"] = settings.model_copy(update={"port": kept}), "last start"
    return settings, origins


def kept_port(folder: Path | None) -> int | None:
    """The port at which the folder's room was opened last; None if it never was. Raises SettingsError."""
    if folder is None:
        return None
    try:
        port = int(decode_text(read_private(folder / KEPT_PORT)))
    except FileNotFoundError:
        return None
    except NotPrivateError as error:
        raise SettingsError(f"{error}. {error.fix}") from None
    except (OSError, ValueError):
        port = 0
    if not 0 < port <= HIGHEST_PORT:
        raise SettingsError(f"{folder / KEPT_PORT} contains no port")
    return port


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
    ("open_calls", "connections"),
)
"""Pairs of settings; the first must not be greater than the second."""


def contradictions(settings: Settings) -> list[str]:
    """The contradictions between settings that are each within their bounds. The room runs in spite of them."""
    return [
        f"{low} ({getattr(settings, low):g}) is above {high} ({getattr(settings, high):g})"
        for low, high in NOT_ABOVE
        if getattr(settings, low) > getattr(settings, high)
    ]


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(decode_text(read_private(path, is_config=True)))
    except FileNotFoundError:
        return {}
    except NotPrivateError as error:
        raise SettingsError(f"{error}. {error.fix}") from None
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
        raise SettingsError("TEAMROOM_NOTIFY: notify: must be a JSON object of lists of URLs") from None
