"""The tool that shows a night."""

from teamroom.server.acts.overnight.overnight import OVERNIGHT
from teamroom.tools.tool import Tool
from teamroom.tools.words.overnight import render_night

TOOLS = (
    Tool(
        OVERNIGHT,
        "See what happened on one screen: what waits for a person, what broke and who noticed, who is stopped, "
        "who has what, who did what.",
        render_night,
        place=270,
    ),
)
