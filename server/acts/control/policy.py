"""Policy: the named part of the settings that a room owner changes while the room runs, binding the next act."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Line, Name, Read, Reply, author
from teamroom.server.clock import rfc3339
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import one_line
from teamroom.server.settings import POLICY, Settings, SettingsError, policy_value, salvaged
from teamroom.server.store.rows.policy import NewestOn
from teamroom.server.store.transaction import Reading, Writing


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Value = Annotated[Line, BeforeValidator(_as_text), Field(min_length=1)]


class SetPolicy(Arguments):
    """Arguments of `set_policy`."""

    name: Annotated[Name, Field(description=", ".join(POLICY))]
    value: Annotated[Value, Field(description="without one, the room's settings decide again")] | None = None


class PolicySet(Reply):
    """Reply of `set_policy`: what holds from the next act on."""

    name: str
    before: Any
    value: Any
    origin: str
    note: str = ""


class PolicyLine(BaseModel):
    """One value of the policy: what is in force, whether the room or the settings say so, and who set it when."""

    name: str
    value: Any
    origin: str
    about: str
    by: str | None = None
    at: str | None = None


class Policy(BaseModel):
    """The whole policy. `unreadable` names what makes the room deny, where something does."""

    values: list[PolicyLine]
    unreadable: list[str]


class ReadPolicy(Arguments):
    """A read without arguments."""


def set_policy(tx: Writing, caller: Caller, arguments: SetPolicy) -> PolicySet:
    """Set one value, or give it back to the settings. What could not be read of the policy is dropped, and said."""
    name = arguments.name
    if name not in POLICY:
        raise Refusal("invalid", f"{name} is no part of the policy.", f"Set one of {', '.join(POLICY)}.")
    values, unreadable = salvaged(tx.value(str, "policy"))
    before = values.get(name, getattr(tx.settings, name))
    after = {key: value for key, value in values.items() if key != name}
    if arguments.value is not None:
        after[name] = _checked(name, arguments.value)
    value = after.get(name, getattr(tx.settings, name))
    origin = "policy" if name in after else "settings"
    dropped = f"what could not be read was dropped: {', '.join(unreadable)}" if unreadable else ""
    if after == values and not unreadable:
        return PolicySet(name=name, before=before, value=value, origin=origin, note="it was so already")
    tx.run("set_policy", document=json.dumps(after, sort_keys=True))
    tx.changed(topics.POLICY)
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
    """What is in force, and who set it. Also answers while the policy cannot be read, and says so."""
    values, unreadable = salvaged(tx.value(str, "policy"))
    return Policy(values=[_line(tx, name, values) for name in POLICY], unreadable=unreadable)


def _checked(name: str, text: str) -> Any:
    try:
        return policy_value(name, text)
    except SettingsError as error:
        raise Refusal(
            "invalid",
            f"{error}.",
            f"{name}: {Settings.model_fields[name].description} Give it as text or number, such as "
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
