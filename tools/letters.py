"""The tool with which people choose how they are reached outside the room, and test it."""

from teamroom.server.acts.letters.channels import NOTIFY, Notified
from teamroom.tools.tool import Tool
from teamroom.tools.words.phrases import cite_receipt


def render_notified(reply: Notified) -> str:
    """The reply of `notify`."""
    if reply.letter:
        return f"A test letter is on its way to @{reply.name} by {', '.join(reply.channels)}{cite_receipt(reply)}."
    done = f"The letters to @{reply.name} {'are unchanged' if reply.note else 'were changed'}{cite_receipt(reply)}"
    added = f" Channel {reply.added} was added." if reply.added else ""
    return f"{done}: {reply.settings.words}; channels: {', '.join(reply.channels) or 'none'}.{added}"


TOOLS = (
    Tool(
        NOTIFY,
        "Change your letters outside the room: quiet hours, cap, zone, digest, suspects, channels. Without a change, "
        "send a person a test letter; teamroom://channels then says whether it arrived.",
        render_notified,
        place=250,
        in_chat=False,
    ),
)
