"""The tool of who is told outside the room."""

from teamroom.server.acts.letters.channels import NOTIFY, Notified
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import cite_receipt


def render_notified(reply: Notified) -> str:
    """The reply of `notify` in words."""
    return f"A test letter is on its way to @{reply.name} by {', '.join(reply.channels)}{cite_receipt(reply)}."


TOOLS = (
    Tool(
        NOTIFY,
        "Send a person a test letter by its channels outside the room; teamroom://channels says whether it arrived.",
        render_notified,
        place=250,
    ),
)
