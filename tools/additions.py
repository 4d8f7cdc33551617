"""What a call's answer says besides the reply of its act or read: to each addition, its words and its data."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from teamroom.server.acts.act import Reply
from teamroom.tools.arguments import Understood, say_ignored, say_removed
from teamroom.tools.tool import Tool
from teamroom.tools.words.messages import render_new_names, render_not_reached
from teamroom.tools.words.presence import data_of_waiting, render_waiting

Addition = tuple[str, dict[str, Any]]
"""Lines that follow the words of a reply, and names that its data gets."""


def additions(tool: Tool, reply: BaseModel, understood: Understood) -> Iterator[Addition]:
    """What the answer to a call gets, in the order of its words. Only the reply of an act says what its act met."""
    said = reply if isinstance(reply, Reply) else None
    if said is not None and said.not_reached:
        yield (
            render_not_reached(said.not_reached),
            {"not_reached": [mention.model_dump() for mention in said.not_reached]},
        )
    if said is not None and said.new_names:
        yield render_new_names(said.new_names), {"new_names": [name.model_dump() for name in said.new_names]}
    if (advice := tool.next(reply)) is not None:
        yield f"Next: {advice}", {"next": advice}
    if understood.removed:
        yield say_removed(understood.removed), {"removed": dict(understood.removed)}
    if said is not None and said.waiting:
        yield render_waiting(said.waiting), {"waiting": data_of_waiting(said.waiting)}
    if understood.ignored:
        yield say_ignored(understood.ignored), {"ignored": understood.ignored}
