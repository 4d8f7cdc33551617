"""What the tools cost a model: python -m tests.bench.schemas prints the characters of each, and of all."""

import json

from mcp_types import Tool
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from teamroom.server.identity import Caller
from teamroom.tools.serve import TOOLS

LIMIT = 9_000
"""What an agent's tools may cost in all: name, description and input schema as compact JSON."""

AGENT = Caller("", "", member=3, name="agent", kind="agent", role="member", owner=2, owner_name="owner")
OWNER = Caller("", "", member=2, name="owner", kind="human", role="owner", owner=2, owner_name="owner")


def characters(tool: Tool) -> int:
    """What a model reads of a tool, as compact JSON."""
    shown = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
    return len(json.dumps(shown, separators=(",", ":"), ensure_ascii=False))


def sizes(caller: Caller) -> dict[str, int]:
    """Characters of compact JSON for each tool that `tools/list` shows a caller."""
    shown = [tool.definition for tool in TOOLS.values() if tool.is_for(caller)]
    return {tool.name: characters(tool) for tool in shown}


def main() -> None:
    """Draw the sizes, largest first."""
    agent, owner = sizes(AGENT), sizes(OWNER)
    table = Table("tool", "characters", "", box=None)
    for name, size in sorted(owner.items(), key=lambda item: -item[1]):
        table.add_row(
            name if name in agent else f"{name} (operators)",
            f"{size:,}",
            ProgressBar(total=max(owner.values()), completed=size, width=30),
        )
    console = Console()
    console.print(table)
    console.print(f"an agent's {len(agent)} tools: {sum(agent.values()):,} of {LIMIT:,} characters")
    console.print(f"an owner's {len(owner)} tools: {sum(owner.values()):,} characters")


if __name__ == "__main__":
    main()
