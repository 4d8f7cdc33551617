"""The tools of the stream."""

from teamroom.server.acts.messages.messages import POST_MESSAGE, READ_MESSAGES, Message, Messages, Posted
from teamroom.server.facts.member import Forecast
from teamroom.server.rules.presence import duration
from teamroom.tools.tool import Tool
from teamroom.tools.words import quoted, receipt, reminded


def posted(reply: Posted) -> str:
    """The reply of `post_message` in words."""
    folded = " Your notes for this hour are spent: it is folded into one line with others." if reply.folded else ""
    return f"Posted {reply.message}{receipt(reply)}.{folded}{expected(reply.forecast)}"


def after_posting(reply: Posted) -> str | None:
    """What to do after `post_message`, where it did not go as usual."""
    if reply.not_woken:
        return (
            f"stop answering @{', @'.join(reply.not_woken)}: move a task (claim, update, complete, hand_off), or ask a "
            "person to decide."
        )
    return "post results and asks, not narration; progress goes to update_task." if reply.folded else None


def expected(forecasts: list[Forecast]) -> str:
    """When addressees will see something, in words."""
    return "".join(f"\n- @{f.to} ({f.presence}, {f.mode}): {_when(f)}" for f in forecasts)


def _when(forecast: Forecast) -> str:
    if forecast.expected_seconds is None or forecast.p90_seconds is None:
        others = f"; instead: {', '.join('@' + name for name in forecast.others)}" if forecast.others else ""
        return f"nobody can say when; {forecast.note}{others}"
    slow = duration(forecast.p90_seconds)
    return f"expect an answer in about {duration(forecast.expected_seconds)}, nearly always within {slow}"


def shown(message: Message) -> str:
    """A message in words, its text marked as its author's."""
    about = f" on {message.task}" if message.task else ""
    answer = f" answering {message.reply_to}" if message.reply_to else ""
    head = f"{message.id} @{message.author} ({message.author_kind}) {message.kind}{about}{answer}, {message.at}:"
    return f"{head}\n{quoted(message.text)}{reminded(message.reminders)}"


def messages(reply: Messages) -> str:
    """The reply of `read_messages` in words."""
    if not reply.messages:
        return f"No messages. cursor {reply.cursor}"
    rest = f"\nToo long for one reply, read them next: {', '.join(reply.left_out)}" if reply.left_out else ""
    return "\n\n".join(shown(message) for message in reply.messages) + f"\n\ncursor {reply.cursor}{rest}"


TOOLS = (
    Tool(
        "post_message",
        "Post to the room's one stream: a result, an ask or an alert, not narration. Name in `to`, or with @name in "
        "the text, who must see it; the reply says when each will.",
        POST_MESSAGE,
        posted,
        next=after_posting,
        core=True,
    ),
    Tool(
        "read_messages",
        "Read messages in full: by ids, of a thread, that mention a name, with the words of query, or after a number. "
        "Without arguments the newest.",
        READ_MESSAGES,
        messages,
        reads=True,
    ),
)
