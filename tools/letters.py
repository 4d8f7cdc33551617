"""The tool that tests how a person is reached outside the room."""

from teamroom.server.acts.letters.channels import NOTIFY, Notified
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import cite_receipt


def render_notified(reply: Notified) -> str:
    """The reply of `notify`."""
    return f"A test letter is on its way to @{reply.name} by {', '.join(reply.channels)}{cite_receipt(reply)}."


TOOLS = (
    Tool(
        NOTIFY,
        "Send a person a test letter on each of their channels. teamroom://channels then says whether it arrived.",
        render_notified,
        place=250,
        in_chat=False,
    ),
)
