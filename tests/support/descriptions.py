"""Everything that a model is told before anybody wrote anything, held by `descriptions.json` (attack 32).

A change of one word shows as a change of that file. To renew it deliberately, and then read the difference:
`python -m tests.support.descriptions`.
"""

import json
from pathlib import Path
from typing import Any

from teamroom.resources.prompts import AGENTS, PEOPLE
from teamroom.resources.room import RESOURCES
from teamroom.tools.instructions import FOR_AGENTS, FOR_PEOPLE
from teamroom.tools.serve import TOOLS

HELD = Path(__file__).with_name("descriptions.json")


def told() -> dict[str, Any]:
    """Instructions, and of each tool, resource and prompt all that `list` shows: constants of the code, every one."""
    tools = {name: tool.definition.model_dump(mode="json", exclude_none=True) for name, tool in TOOLS.items()}
    resources = {resource.uri: [resource.title, resource.description] for resource in RESOURCES}
    prompts = {
        kind: {prompt.name: [prompt.title, prompt.description, *map(repr, prompt.arguments)] for prompt in found}
        for kind, found in (("agents", AGENTS), ("people", PEOPLE))
    }
    instructions = {"agents": FOR_AGENTS.splitlines(), "people": FOR_PEOPLE.splitlines()}
    return {"instructions": instructions, "tools": tools, "resources": resources, "prompts": prompts}


def main() -> None:
    """Hold what is told now."""
    HELD.write_text(json.dumps(told(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {HELD}")


if __name__ == "__main__":
    main()
