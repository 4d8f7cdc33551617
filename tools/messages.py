"""The tools of messages: post and read."""

from teamroom.server.acts.messages.messages import POST_MESSAGE, READ_MESSAGES, Posted
from teamroom.tools.tool import Tool
from teamroom.tools.words.messages import render_forecasts, render_messages
from teamroom.tools.words.phrases import cite_receipt


def render_posted(reply: Posted) -> str:
    """The reply of `post_message`."""
    folded = " Your notes for this hour are used up, so it is folded into one line with others." if reply.folded else ""
    return f"Posted {reply.message}{cite_receipt(reply)}.{folded}{render_forecasts(reply.forecast)}"


def advise_after_posting(reply: Posted) -> str | None:
    """What to do after `post_message`, where it did not go as usual."""
    if reply.asked_nothing:
        return "go on with your work; to get an answer, post an ask."
    if reply.not_woken:
        return (
            f"stop answering @{', @'.join(reply.not_woken)} until somebody else moves a task of yours: complete it for "
            "review, hand_off, or ask a person to decide."
        )
    return "post results and asks, not narration; progress goes to update_task." if reply.folded else None


TOOLS = (
    Tool(
        POST_MESSAGE,
        "Post a result, an ask or an alert to the room's one stream; do not narrate. Address members in `to`, or "
        "with @name in the text; the reply says when each will answer. From somebody paused, asleep or without a "
        "listener, expect no answer soon: choose another.",
        render_posted,
        place=60,
        next=advise_after_posting,
        core=True,
    ),
    Tool(
        READ_MESSAGES,
        "Read messages in full. Select them by ids, thread, mentioned name, words in query, or the number to start "
        "after. Without arguments, returns the newest.",
        render_messages,
        place=70,
    ),
)
