"""The parts of `docs/join/` that the descriptions of the harnesses write: `tests.support.generated` puts them there."""

from pathlib import Path

from teamroom.clients.harnesses.catalogue import WRITTEN
from teamroom.clients.harnesses.description import Harness, Machine, Seat
from teamroom.clients.harnesses.printed import PRINTED
from teamroom.clients.harnesses.verified import STEPS, Verified, verified
from teamroom.clients.session.program import own_words

HOME, FOLDER = "/home/you", "/home/you/project"
PROGRAM = "/path/to/teamroom"


def written() -> dict[str, str]:
    """Each part by name: the index, one for each harness that join writes, and one for all that it only prints."""
    return {
        "join-index": index(),
        "verified": matrix(),
        **{f"join-{harness.key}": page(harness) for harness in WRITTEN},
        "join-others": "\n".join(printed(harness) for harness in PRINTED),
    }


def index() -> str:
    """Each harness with how far the room reaches into it."""
    rows = [(f"[{one.name}](join/{one.key}.md)", one.stops, one.wakes) for one in WRITTEN]
    lines = [("harness", "local tools", "wakes"), ("---",) * 3, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace(" --- ", "---")


def page(harness: Harness) -> str:
    """What join writes for one harness, and why."""
    seat = seat_of(harness)
    assert harness.files is not None
    where = "in each folder" if harness.is_users else "for each folder"
    lines = [
        f"```text\nteamroom join {harness.key}\n```\n",
        f"The identity is {'the same' if harness.is_users else 'another one'} {where}. To take it out again, run "
        f"`teamroom leave {harness.key}`.\n",
        f"- **Local tools:** {harness.stops}",
        f"- **Wakes:** {harness.wakes}",
        *(f"- {note}" for note in harness.notes),
        *how_far(harness, verified(harness.key)),
        "\n## What join writes\n",
        *(f"`{shown(str(config.path))}`:\n\n```text\n{shown(config.alone)}\n```\n" for config in harness.files(seat)),
        f"{shown(harness.why)}\n",
        "## By hand\n",
        "Enroll the member with `teamroom enroll NAME --save`, then use this:\n",
        f"```text\n{shown(harness.snippet(seat))}\n```",
    ]
    return "\n".join(lines) + "\n"


def how_far(harness: Harness, found: Verified | None) -> list[str]:
    """What of a harness was verified, and what not."""
    if found is None:
        return [f"- **Verified:** {harness.how_tried}."]
    rows = [
        ("what", "verified"),
        ("---", "---"),
        *((words, found.steps.get(step, "no")) for step, words in STEPS.items()),
    ]
    lines = [f"| {' | '.join(row)} |".replace(" --- ", "---") for row in rows]
    return ["\n## What was verified\n", f"Tests ran the real {harness.name} {found.version}:\n", *lines]


def matrix() -> str:
    """Each harness that tests run, and what they verified of it."""
    rows = [("harness", *STEPS), ("---",) * (1 + len(STEPS))]
    for harness in WRITTEN:
        found = verified(harness.key)
        if found is not None:
            cells = ("yes" if step in found.steps else "" for step in STEPS)
            rows.append((f"[{harness.name}](join/{harness.key}.md) {found.version}", *cells))
    meanings = (f"- **{step}**: {words}." for step, words in STEPS.items())
    return "\n".join([*(f"| {' | '.join(row)} |".replace(" --- ", "---") for row in rows), "", *meanings, ""])


def printed(harness: Harness) -> str:
    """The entry of a client that join only prints."""
    enroll = "teamroom enroll YOU --chat" if harness.is_chat else f"teamroom join {harness.key}"
    head = f"## {harness.name}\n\n**Verified:** {harness.how_tried}. {harness.why} For its token, run `{enroll}`.\n\n"
    return f"{head}```text\n{shown(harness.snippet(seat_of(harness)))}\n```\n"


def seat_of(harness: Harness) -> Seat:
    """A seat as on a reader's machine."""
    name = harness.key if harness.is_users else f"{harness.key}-project"
    machine = Machine(Path(FOLDER), Path(HOME), {})
    data = Path("/path/to/.teamroom")
    return Seat(name, machine, data, "http://127.0.0.1:8765", False, False, ("teamroom",))


def shown(text: str) -> str:
    """A text without the paths of this machine."""
    text = text.replace(own_words()[0], PROGRAM)
    return text.replace(f"{FOLDER}/", "").replace(f"{HOME}/.", "~/.")
