"""Plants: values stored where a capability can be reached, so that members can be probed for them."""

import shlex
from typing import Annotated

from pydantic import BaseModel, Field

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Line, Need, Read, Ref, Reply, author
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.person import require_person
from teamroom.server.facts.roles import ROOM_OPERATORS
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.proofs import VALUE_PREFIX, plant_command
from teamroom.server.rules.text import add_quote, backtick
from teamroom.server.store.rows.capabilities import PlantRow
from teamroom.server.store.transaction import Reading, Writing

VALUE_BYTES = 32
MEMBERS_TOLD = 100
"""At most this many members that proved a capability are shown as changed when its value changes."""

ASKED_AT_ONCE = 200
"""How many members that declare a capability one new value wakes. The others see it when they check in."""

PLANTS_SHOWN = 200

SUBJECT = "plants"
"""The subject of entries about plants. A subject cannot be redacted, so it does not name the capability."""


class Plant(Arguments):
    """Arguments of `plant`."""

    capability: Need
    file: Annotated[Ref, Field(description="where you store the value")] | None = None
    read: Annotated[Ref, Field(description="or a command that prints it")] | None = None
    where: Annotated[Line, Field(description="a hint where to find it")] | None = None
    remove: bool = False


class Planted(Reply):
    """Reply of `plant`. The value is shown only once. `asked`: how many members with the capability were woken."""

    capability: str
    value: str | None
    read: str
    where: str
    asked: int

    def remembered(self) -> "Planted":
        """Without the value: the room never shows it again."""
        return self.model_copy(update={"value": None})


class PlantShown(BaseModel):
    """A plant: where, and by which member; never the value."""

    capability: str
    read: str
    where: str
    by: str
    at: str


class Plants(BaseModel):
    """The plants of this room; `more`: the list is cut."""

    plants: list[PlantShown]
    more: bool


class ReadPlants(Arguments):
    """A read without arguments."""


def plant(tx: Writing, caller: Caller, arguments: Plant) -> Planted:
    """Plant a new value for a capability, or remove the plant. Earlier proofs of it end. Raises Refusal."""
    _require_planter(caller, arguments)
    capability = arguments.capability
    if arguments.remove:
        return _remove(tx, caller, capability)
    value = VALUE_PREFIX + tx.entropy(VALUE_BYTES).hex()
    reads = arguments.read or (_cat(arguments.file) if arguments.file else "")
    hint = arguments.where or ""
    tx.run("add_plant", capability=capability, value=value, reads=reads, hint=hint, planter=caller.member, now=tx.now)
    tx.changed(topics.PLANTS, topics.ROSTER)
    _end_proofs(tx, capability)
    seq = log.append(
        tx,
        author(caller),
        act="plant",
        subject=SUBJECT,
        summary=add_quote(f"@{caller.name} planted a value for", capability),
        detail={"capability": capability, "read": reads, "where": hint},
    )
    asked = tx.column(int, "declared_by", capability=capability, planter=caller.member, limit=ASKED_AT_ONCE)
    line = add_quote("check_in says how to prove that you reach", capability)
    wake_members(tx, asked, reason="challenge", subject=capability, sender=caller.member, line=line)
    return Planted(receipt=seq, capability=capability, value=value, read=reads, where=hint, asked=len(asked))


def read_plants(tx: Reading, caller: Caller, arguments: ReadPlants) -> Plants:
    """Return the plants, without their values."""
    rows = tx.all(PlantRow, "plants", limit=PLANTS_SHOWN + 1)
    shown = [
        PlantShown(
            capability=row.capability,
            read=row.reads,
            where=row.hint,
            by=row.planter,
            at=tx.shown(row.planted_at),
        )
        for row in rows[:PLANTS_SHOWN]
    ]
    return Plants(plants=shown, more=len(rows) > PLANTS_SHOWN)


def _cat(file: str) -> str:
    """The command that prints a file of any name, even `-`; `~/` is the home of the user that runs it."""
    home = "~/" if file.startswith("~/") else ""
    return f"cat < {home}{shlex.quote(file.removeprefix(home))}"


def _require_planter(caller: Caller, arguments: Plant) -> None:
    """Refuse all but people and agents that operate the room. Only a person gives a command that others run."""
    if caller.kind != "human" and not caller.is_operator:
        raise Refusal(
            "not_allowed",
            f"Only people and operators can plant values; you are an agent with the role {caller.role}.",
            f"Ask your owner: {backtick(plant_command(arguments.capability))}",
            subject=arguments.capability,
        )
    if arguments.read is not None:
        why = "Other members will run that command, so only a person can give it."
        require_person(caller, why, "Give file instead, or ask your owner to plant it.", arguments.capability)
    if arguments.read is not None and arguments.file is not None:
        raise Refusal("invalid", "The call gives both file and read.", "Leave one of them out.")


def _end_proofs(tx: Writing, capability: str) -> None:
    """End the probes and proofs of a capability, because its planted value was replaced or removed."""
    tx.run("close_probes", capability=capability)
    tx.run("end_proofs", capability=capability, now=tx.now)
    for member in tx.column(int, "tried_to_prove", capability=capability, limit=MEMBERS_TOLD):
        member_changed(tx, member)


def _remove(tx: Writing, caller: Caller, capability: str) -> Planted:
    if tx.run_counted("remove_plant", capability=capability) == 0:
        raise not_found("plant", capability, "Read teamroom://plants to see what is planted.")
    tx.changed(topics.PLANTS, topics.ROSTER)
    _end_proofs(tx, capability)
    summary = add_quote(f"@{caller.name} removed the plant of", capability)
    detail = {"capability": capability, "removed": True}
    seq = log.append(tx, author(caller), act="plant", subject=SUBJECT, summary=summary, detail=detail)
    return Planted(receipt=seq, capability=capability, value=None, read="", where="", asked=0)


PLANT = Act("plant", Plant, Planted, plant, shown_to_agents=ROOM_OPERATORS)
READ_PLANTS = Read("plants", ReadPlants, read_plants)
