"""The tool that shows a night."""

from teamroom.server.acts.overnight.overnight import OVERNIGHT
from teamroom.tools.tool import Tool
from teamroom.tools.words.overnight import overnight

TOOLS = (
    Tool(
        OVERNIGHT,
        "See what happened on one screen: what waits for a person, what broke and who noticed, who is stopped, who has "
        "what now, who did what.",
        overnight,
        place=270,
    ),
)
