"""What a call's answer says besides the reply of its act or read: to each addition, its words and its data."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from teamroom.tools.arguments import Understood, say_ignored, say_removed
from teamroom.tools.tool import Tool
from teamroom.tools.words.messages import render_new_names, render_not_reached
from teamroom.tools.words.presence import data_of_waiting, render_waiting

Addition = tuple[str, dict[str, Any]]
"""Lines that follow the words of a reply, and names that its data gets."""


def additions(tool: Tool, reply: BaseModel, understood: Understood) -> Iterator[Addition]:
    """What the answer to a call gets, in the order of its words."""
    if not_reached := getattr(reply, "not_reached", None):
        yield render_not_reached(not_reached), {"not_reached": [mention.model_dump() for mention in not_reached]}
    if new_names := getattr(reply, "new_names", None):
        yield render_new_names(new_names), {"new_names": [name.model_dump() for name in new_names]}
    if (advice := tool.next(reply)) is not None:
        yield f"Next: {advice}", {"next": advice}
    if understood.removed:
        yield say_removed(understood.removed), {"removed": dict(understood.removed)}
    if waiting := getattr(reply, "waiting", None):
        yield render_waiting(waiting), {"waiting": data_of_waiting(waiting)}
    if understood.ignored:
        yield say_ignored(understood.ignored), {"ignored": understood.ignored}
