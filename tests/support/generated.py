"""The parts of the pages that programs write, so that no count and no list is kept by hand.

python -m tests.support.generated writes them all, `docs/tools.md` and the typed calls of the Python client. Tests
compare them with what it writes.
"""

import asyncio
import contextlib
import io
import json
import re
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
from mcp.types import Prompt

from teamroom.clients.local.demo.clock import STORY_SECONDS
from teamroom.clients.shell.demo import NAME_CELLS, Screen
from teamroom.server.settings import Settings, shown
from tests.bench.schemas import characters
from tests.harness import told
from tests.house.attacks import ATTACKS, row
from tests.support import client_module, join_pages, pictures, tools_page
from tests.support.demo import in_order, play_demo
from tests.support.pages import PAGES, read, with_parts
from tests.support.promises import PLANNED, PROMISES
from tests.support.repository import ROOT
from tests.support.rooms import RunningRoom, StillTime, Time, running_room
from tests.support.shells import ESCAPE, Shell

TERMINAL_COLUMNS = 90

BOARD_MINUTE = 61
"""The minute of the story at which the board is shown: the lease of the agent that does nothing has ended."""

STORY_AT = 1_795_424_400.0
"""When the story of the pictures begins: 2026-11-23T09:00:00Z."""

ROUND_CHARACTERS = 1000

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
A_TIME = "2026-11-23T11:24:13Z"


async def written(folder: Path) -> dict[str, str]:
    """Each generated part by name, as this release writes it; `folder` holds the rooms that are needed for it."""
    texts = {
        "packages": pictures.draw_packages(),
        "steps": pictures.draw_steps(),
        "attacks": table(("#", "attacker", "attack", "what stops it", "tests"), [])
        + "\n".join(map(row, ATTACKS))
        + "\n",
        "settings": settings(),
        "campaigns": campaigns(),
        "promises": promises(),
        "commands": commands(Shell(folder)),
        "speaking": speaking(Shell(folder)),
        told.PART: table(told.head(), told.rows()),
        **join_pages.written(),
    }
    async with running_room(folder / "room") as room:
        texts |= await of_a_room(room)
    return texts | await of_a_demo(folder)


# ------------------------------------------------------------------ read off the code


def settings() -> str:
    """Every setting with its default, its bounds and what it controls."""
    rows = []
    for name, field in Settings.model_fields.items():
        bounds = {type(bound).__name__: bound for bound in field.metadata}
        low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
        between = f"{low:,} to {high:,}" if low is not None and high is not None else ""
        default = json.dumps(shown(name, field.get_default(call_default_factory=True)))
        rows.append((f"`{name}`", f"`{default}`", between, field.description or ""))
    return table(("setting", "default", "from … to", "what it controls"), rows)


def campaigns() -> str:
    """Every campaign that the Makefile runs, and how long it is there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rows = []
    for target, body in re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE):
        for module, number in re.findall(r"-m tests\.(campaigns\.\w+|simulation|models) (\d+)", body):
            rows.append((f"`make {target}`", f"`tests.{module}`", f"{int(number):,}"))
    return table(("run", "program", "size"), rows)


def promises() -> str:
    """Every promise, and what of it is not kept yet."""
    rows = [(id_, text, PLANNED.get(id_, "")) for id_, text in PROMISES.items()]
    return table(("id", "promise", "not kept yet"), rows)


def commands(shell: Shell) -> str:
    """Every command of the shell with the first sentence of its help."""
    rows = []
    for name, text in helps(shell).items():
        about = " ".join(text.split("\n\n")[1].split())
        rows.append((f"`teamroom {name}`", about))
    return table(("command", "what it does"), rows)


SPEAKING = ("Messages", "Work")
"""The sections of the help with which people speak and work; `export` is in another one."""


def speaking(shell: Shell) -> str:
    """The commands with which people work from the shell, with their arguments and options."""
    sections = re.split(r"^(\w[\w ]*):$", shell.now("--help").out, flags=re.MULTILINE)
    names = {name for title, text in zip(sections[1::2], sections[2::2], strict=True) if title in SPEAKING
             for name in listed(text)} | {"export"}  # fmt: skip
    rows = []
    for name, text in helps(shell).items():
        if name.split()[0] in names:
            usage = " ".join(text.split("\n\n")[0].split()).partition(f" {name} ")[2].replace("[OPTIONS]", "").strip()
            options = re.findall(r"(--[a-z-]+)(?:,? -\w)?(?: ([A-Z][A-Z=:]*))?  ", text)
            given = ", ".join(f"`{' '.join(one).strip()}`" for one in options if one[0] not in EVERYWHERE)
            rows.append((f"`teamroom {name} {usage}`".replace(" `", "`"), given))
    return table(("command", "options"), rows)


EVERYWHERE = frozenset({"--data", "--url", "--token-file", "--help", "--json", "--request-id"})
"""Options that nearly every command has."""


def helps(shell: Shell) -> dict[str, str]:
    """What `--help` prints for each command of the shell."""
    return _helps(shell, (), shell.now("--help").out)


def _helps(shell: Shell, group: tuple[str, ...], text: str) -> dict[str, str]:
    """The same for the commands of a group, and of the groups in it. `text`: the help of the group."""
    found = dict[str, str]()
    for name in listed(text):
        words = (*group, name)
        inner = shell.now(*words, "--help").out
        is_group = " COMMAND [ARGS]" in " ".join(inner.split())
        found |= _helps(shell, words, inner) if is_group else {" ".join(words): inner}
    return found


def listed(help_: str) -> list[str]:
    """The commands that a help text lists."""
    return re.findall(r"^ {2,4}([a-z][a-z-]*) {2,}", help_, flags=re.MULTILINE)


# ------------------------------------------------------------------ asked of a room


def _prompts(listed: Sequence[Prompt]) -> str:
    return table(("command", "what it does"), [(f"`{prompt.name}`", str(prompt.description)) for prompt in listed])


async def of_a_room(room: RunningRoom) -> dict[str, str]:
    """The parts that only a running room can tell: what it lists, shows and refuses."""
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="Rate-limit the login route")
    await builder("claim_task", task="T-1")
    listed = {
        "agents-tools": _agents_tools((await builder.client.list_tools()).tools),
        "resources": _resources(
            (await builder.client.list_resources()).resources,
            (await builder.client.list_resource_templates()).resource_templates,
        ),
        "peoples-prompts": _prompts((await owner.client.list_prompts()).prompts),
        "agents-prompts": _prompts((await builder.client.list_prompts()).prompts),
        "policy": _policy(await owner.client.read_resource("teamroom://policy")),
    }
    await owner("pause", target="builder", reason="wrong repository")
    _, words, _ = await builder.said("update_task", task="T-1", fence=1, note="half done")
    words = TIME.sub(A_TIME, words).replace(" Fix: ", "\nFix: ")
    return {**listed, "refusal": f"```text\n{words}\n```\n"}


def _agents_tools(tools: list[Any]) -> str:
    names = ", ".join(f"`{tool.name}`" for tool in tools)
    at_most = -(-sum(map(characters, tools)) // ROUND_CHARACTERS) * ROUND_CHARACTERS
    return (
        f"An agent sees {len(tools)} tools: {names}. "
        f"Their names, descriptions and schemas cost its model fewer than {at_most:,} characters.\n"
    )


def _resources(fixed: list[Any], templates: list[Any]) -> str:
    rows = [(f"`{found.uri}`", str(found.description)) for found in fixed]
    rows += [(f"`{found.uri_template}`", str(found.description)) for found in templates]
    return table(("resource", "content"), sorted(rows))


def _policy(result: Any) -> str:
    (text,) = (content.text for content in result.contents if content.mime_type == "application/json")
    rows = [(f"`{line['name']}`", f"`{line['value']}`", line["about"]) for line in json.loads(text)["values"]]
    return table(("policy", "default", "what it controls"), rows)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of a page."""
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in (head, ("---",) * len(head), *rows))
    return "".join(f"| {line} |\n".replace("| --- ", "|---").replace("--- |", "---|") for line in cells)


# ------------------------------------------------------------------ shown by the demo


async def of_a_demo(folder: Path) -> dict[str, str]:
    """The pictures of the demo: its story, the report in the end, and the board after it."""
    async with running_room(folder / "story", time=StillTime(STORY_AT)) as room:
        story = io.StringIO()
        with contextlib.redirect_stdout(story):
            await play_demo(room, folder, StoryScreen(), in_order)
        report = await _on_terminal(room, "overnight")
    async with running_room(folder / "board", time=Time(offset=-STORY_SECONDS)) as room:
        await play_demo(room, folder, racing=in_order, last_minute=BOARD_MINUTE)
        board = await _on_terminal(room, "board")
    lines = (line for long in story.getvalue().strip().splitlines() for line in _wrapped(long))
    return {"demo": "\n".join(["```text", *lines, "```", ""]), "overnight": report, "board": board}


class StoryScreen(Screen):
    """What the demo tells a person, without the report, which has its own picture."""

    def night(self, report: dict[str, Any]) -> None:
        """Leave it out."""
        print("  …")


def _wrapped(line: str) -> list[str]:
    """A line as a terminal shows it."""
    indent = NAME_CELLS + 4 if line.startswith("  @") else 2
    return textwrap.wrap(line, TERMINAL_COLUMNS, subsequent_indent=" " * indent) or [""]


async def _on_terminal(room: RunningRoom, command: str) -> str:
    """A command and what it shows on a terminal."""
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url, "TZ": "UTC"})
    shown = await anyio.to_thread.run_sync(lambda: shell.on_terminal(command, columns=TERMINAL_COLUMNS))
    assert shown.code == 0, shown.out
    lines = (line.rstrip() for line in ESCAPE.sub("", shown.out).strip().splitlines())
    return "\n".join(["```text", f"$ teamroom {command}", *lines, "```", ""])


# ------------------------------------------------------------------ writing the pages


async def write(folder: Path) -> list[Path]:
    """Bring every page up to what this release writes; returns the pages that changed."""
    texts = await written(folder)
    pages = {page: with_parts(read(page), texts) for page in PAGES}
    pages[ROOT / "docs" / "tools.md"] = await tools_page.written(folder / "tools")
    pages |= client_module.written()
    changed = [page for page, text in pages.items() if not page.exists() or text != read(page)]
    for page in changed:
        page.write_text(pages[page], encoding="utf-8")
    return changed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        for page in asyncio.run(write(Path(home))):
            print(f"wrote {page.relative_to(ROOT)}")
