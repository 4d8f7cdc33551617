"""Policy: the named settings that a room owner changes while the room runs. A change binds the next act."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Line, Name, Read, Reply, author
from teamroom.server.clock import rfc3339
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.facts.task import ROOM_MEMBER
from teamroom.server.facts.timers import RETENTION, schedule
from teamroom.server.identity import Caller
from teamroom.server.policy import POLICY, SettingsError, policy_value, salvaged
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import cite, one_line
from teamroom.server.settings import Settings
from teamroom.server.store.rows.policy import NewestOn
from teamroom.server.store.transaction import Reading, Writing


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Value = Annotated[Line, BeforeValidator(_as_text), Field(min_length=1)]


class SetPolicy(Arguments):
    """Arguments of `set_policy`."""

    name: Annotated[Name, Field(description=", ".join(POLICY))]
    value: Annotated[Value, Field(description="leave it out to return to the room's settings")] | None = None


class PolicySet(Reply):
    """Reply of `set_policy`: the value in force from the next act on."""

    name: str
    before: Any
    value: Any
    origin: str
    note: str = ""


class PolicyLine(BaseModel):
    """One value of the policy: what is in force, where it comes from, who set it and when."""

    name: str
    value: Any
    origin: str
    about: str
    by: str | None = None
    at: str | None = None


class Policy(BaseModel):
    """The whole policy. `unreadable` names the values that make the room deny calls."""

    values: list[PolicyLine]
    unreadable: list[str]


class ReadPolicy(Arguments):
    """A read without arguments."""


def set_policy(tx: Writing, caller: Caller, arguments: SetPolicy) -> PolicySet:
    """Set one value, or return it to the settings. Unreadable values are dropped and reported. Raises Refusal."""
    name = arguments.name
    if name not in POLICY:
        raise Refusal("invalid", f"{cite(name)} is not a policy setting.", f"Set one of {', '.join(POLICY)}.")
    values, unreadable = salvaged(tx.value(str, "policy"))
    before = values.get(name, getattr(tx.settings, name))
    after = {key: value for key, value in values.items() if key != name}
    if arguments.value is not None:
        after[name] = _checked(name, arguments.value)
    value = after.get(name, getattr(tx.settings, name))
    origin = "policy" if name in after else "settings"
    dropped = f"unreadable values were dropped: {', '.join(unreadable)}" if unreadable else ""
    if after == values and not unreadable:
        return PolicySet(name=name, before=before, value=value, origin=origin, note="it already had this value")
    tx.run("set_policy", document=json.dumps(after, sort_keys=True))
    tx.changed(topics.POLICY)
    if name == "retention_days":
        schedule(tx, RETENTION, 0, ROOM_MEMBER, 0)
    did = f"@{caller.name} set {name} from {before} to {value} ({origin})"
    seq = log.append(
        tx,
        author(caller),
        act="set_policy",
        subject=f"policy:{name}",
        summary=one_line("; ".join([did, dropped]) if dropped else did),
        detail={"before": before, "value": value, "origin": origin, "dropped": unreadable},
    )
    return PolicySet(receipt=seq, name=name, before=before, value=value, origin=origin, note=dropped)


def read_policy(tx: Reading, caller: Caller, arguments: ReadPolicy) -> Policy:
    """The policy in force, and who set it. Also works while the policy is unreadable, and names what is."""
    values, unreadable = salvaged(tx.value(str, "policy"))
    return Policy(values=[_line(tx, name, values) for name in POLICY], unreadable=unreadable)


def _checked(name: str, text: str) -> Any:
    try:
        return policy_value(name, text)
    except SettingsError as error:
        raise Refusal(
            "invalid",
            f"{error}.",
            f"{Settings.model_fields[name].description} Give {name} a text or a number, such as "
            f"{Settings.model_fields[name].default}.",
            subject=f"policy:{name}",
        ) from None


def _line(tx: Reading, name: str, values: dict[str, Any]) -> PolicyLine:
    newest = tx.one(NewestOn, "newest_on", subject=f"policy:{name}") if name in values else None
    return PolicyLine(
        name=name,
        value=values.get(name, getattr(tx.settings, name)),
        origin="policy" if name in values else "settings",
        about=Settings.model_fields[name].description or "",
        by=None if newest is None else newest.actor,
        at=None if newest is None else rfc3339(newest.at),
    )


SET_POLICY = Act("set_policy", SetPolicy, PolicySet, set_policy, roles=ROOM_OWNERS)
READ_POLICY = Read("policy", ReadPolicy, read_policy)
