"""Messages in words."""

from teamroom.server.acts.messages.messages import Message, Messages
from teamroom.server.facts.member import Forecast
from teamroom.server.facts.mentions import NewName, NotReached
from teamroom.server.rules.forecasts import describe_forecast
from teamroom.server.rules.text import cite_name
from teamroom.server.rules.wakes import describe_steps
from teamroom.tools.words.phrases import list_lines, quote
from teamroom.tools.words.reminders import render_reminders


def render_messages(reply: Messages) -> str:
    """Messages in full, with the cursor after them."""
    if not reply.messages:
        return f"No messages. cursor {reply.cursor}"
    rest = f"\nToo long for this reply, read next: {', '.join(reply.left_out)}" if reply.left_out else ""
    return "\n\n".join(render_message(message) for message in reply.messages) + f"\n\ncursor {reply.cursor}{rest}"


def render_message(message: Message) -> str:
    """A message, its text quoted as its author's."""
    about = f" on {message.task}" if message.task else ""
    answer = f" answering {message.reply_to}" if message.reply_to else ""
    head = f"{message.id} @{message.author} ({message.author_kind}) {message.kind}{about}{answer}, {message.at}:"
    return f"{head}\n{quote(message.text)}{render_reminders(message.reminders)}{_render_steps(message)}"


def _render_steps(message: Message) -> str:
    """What was seen of the wakes of its addressees."""
    return list_lines("Wakes", map(describe_steps, message.wakes))


def render_forecasts(forecasts: list[Forecast]) -> str:
    """When each addressee is expected to answer."""
    return "".join(f"\n- @{found.to} {describe_forecast(found)}" for found in forecasts)


def render_not_reached(mentions: list[NotReached]) -> str:
    """The mentions of a text that wake nobody, and whom they may mean."""
    return "\n".join(
        f"- @{cite_name(mention.name)} reaches nobody: {mention.why}"
        + (f"; near: {', '.join('@' + name for name in mention.near)}" if mention.near else "")
        for mention in mentions
    )


def render_new_names(names: list[NewName]) -> str:
    """The former names that an act gave, and the names now."""
    return "\n".join(f"- @{name.name} is @{name.now} now" for name in names)
