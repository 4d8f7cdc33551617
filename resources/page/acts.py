"""The forms that the page shows, each where the thing is that it acts on."""

from teamroom.resources.page.forms import Form, form
from teamroom.server.acts.approvals.rules import REQUIRE_APPROVAL
from teamroom.server.acts.authorizations.authorizations import AUTHORIZE
from teamroom.server.acts.control.control import KILL, PAUSE, RESUME
from teamroom.server.acts.control.policy import SET_POLICY
from teamroom.server.acts.decisions.decisions import DECIDE
from teamroom.server.acts.letters.channels import NOTIFY, SETTINGS
from teamroom.server.acts.members.members import ENROLL, REVOKE
from teamroom.server.acts.members.sign_in import SIGN_IN
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.presence.presence import CHECK_IN
from teamroom.server.acts.tasks.board import TaskShown
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.acts.tasks.hand_offs import ANSWER_HAND_OFF, HAND_OFF
from teamroom.server.acts.tasks.reviews import COMPLETE_TASK, REVIEW_TASK
from teamroom.server.acts.tasks.tasks import CREATE_TASK, UPDATE_TASK, Changes, CreateTask

ROOM = "room"
"""The target of a stop of everybody."""

# ------------------------------------------------------------------ messages


def post() -> Form:
    """Post a message."""
    return form(POST_MESSAGE, "Post", "text", "to", "kind")


def reply(message: str) -> Form:
    """Answer a message."""
    return form(POST_MESSAGE, "Reply", "text", about=f"to {message}", reply_to=message)


def report(task: str) -> Form:
    """Post a message on a task."""
    return form(POST_MESSAGE, "Post", "text", "kind", task=task)


def seen(cursor: int) -> Form:
    """Mark news as seen."""
    return form(CHECK_IN, "Mark the news as seen", after=str(cursor))


# ------------------------------------------------------------------ tasks


def add() -> Form:
    """Add a task."""
    return form(CREATE_TASK, "Add", *CreateTask.model_fields)


def claim(task: str) -> Form:
    """Take a task."""
    return form(CLAIM_TASK, "Claim it", task=task)


def note(task: TaskShown) -> Form:
    """Say what moved, as the holder."""
    return form(UPDATE_TASK, "Say what moved", "note", task=task.task, fence=str(task.fence))


def block(task: TaskShown) -> Form:
    """Block a task that the person holds."""
    return form(UPDATE_TASK, "Block", "blocked_on", "note", task=task.task, fence=str(task.fence), status="blocked")


def complete(task: TaskShown) -> Form:
    """Claim that a task is done, as the holder."""
    return form(COMPLETE_TASK, "It is done", "summary", "evidence", task=task.task, fence=str(task.fence))


def hand_off(task: TaskShown) -> Form:
    """Offer a task to another member, as the holder."""
    return form(HAND_OFF, "Offer it", "to", "note", "needs", "artifacts", task=task.task, fence=str(task.fence))


def edit(task: TaskShown) -> Form:
    """Change what a task says."""
    return form(UPDATE_TASK, "Change it", *(f"changes.{name}" for name in Changes.model_fields), task=task.task)


def release(task: str) -> Form:
    """Put a task back on the board."""
    return form(UPDATE_TASK, "Release it", "note", task=task, status="released")


def cancel(task: str) -> Form:
    """Cancel a task."""
    return form(UPDATE_TASK, "Cancel it", "note", style="danger", task=task, status="cancelled")


def snooze(task: str) -> Form:
    """Keep reminders of a task quiet for a while."""
    return form(UPDATE_TASK, "Snooze", "snooze_until", task=task)


def accept(task: str) -> Form:
    """Accept a completion."""
    return form(REVIEW_TASK, "Accept", "note", about=task, task=task, verdict="accept")


def send_back(task: str) -> Form:
    """Send a completion back."""
    return form(REVIEW_TASK, "Send back", "note", about=task, task=task, verdict="send_back")


def take(offer: str) -> Form:
    """Accept an offer."""
    return form(ANSWER_HAND_OFF, "Accept", "proofs", about=offer, offer=offer, accept="true")


def decline(offer: str) -> Form:
    """Decline an offer."""
    return form(ANSWER_HAND_OFF, "Decline", "reason", about=offer, offer=offer, accept="false")


# ------------------------------------------------------------------ people's acts


def decide(decision: str, option: str, digest: str) -> Form:
    """Answer a decision with one of its options."""
    return form(DECIDE, option, about=f"for {decision}", decision=decision, option=option, digest=digest)


def authorize(name: str) -> Form:
    """Let a member do something."""
    return form(AUTHORIZE, "Authorise", "scope", "until", "uses", "reason", to=name)


def revoke_authorization(entry: str) -> Form:
    """Take an authorisation back."""
    return form(AUTHORIZE, "Revoke", about=entry, style="danger", revoke=entry)


def require_approval(target: str) -> Form:
    """Have calls of an agent's own tools wait for a person."""
    return form(REQUIRE_APPROVAL, "Let it wait for a person", "match", "exceptions", "scope", to=target)


def remove_rule(rule: int) -> Form:
    """Remove an approval rule."""
    return form(REQUIRE_APPROVAL, "Remove", about=f"rule {rule}", style="danger", remove=str(rule))


def pause(name: str) -> Form:
    """Stop a member, with a reason and for some time."""
    return form(PAUSE, "Stop", "reason", "for_seconds", about=name, style="stop", target=name)


def resume(name: str) -> Form:
    """Let a member go on, with a reason."""
    return form(RESUME, "Resume", "reason", about=name, target=name)


def stop(name: str) -> Form:
    """Stop a member with one button."""
    return form(PAUSE, "Stop", about=name, style="stop", target=name, reason="Paused on the page")


def stop_all() -> Form:
    """Stop every agent with one button."""
    return form(PAUSE, "Pause all", style="stop", target=ROOM, reason="Paused on the page")


def go_on(name: str) -> Form:
    """Let a member go on with one button."""
    return form(RESUME, "Resume", about=name, target=name, reason="Resumed on the page")


def go_on_all() -> Form:
    """Let everybody go on with one button."""
    return form(RESUME, "Resume all", target=ROOM, reason="Resumed on the page")


def undo(subject: str) -> Form:
    """Undo a stop that was just made. `subject`: of its receipt."""
    target = subject.removeprefix("@")
    return form(RESUME, "Undo", about=f"the stop of {target}", target=target, reason="Undone on the page")


def kill(name: str) -> Form:
    """Kill a member for good."""
    return form(KILL, f"Kill {name}", "reason", typed=name, style="danger", target=name)


def rotate(name: str, label: str = "") -> Form:
    """Give a member a new token in the place of one."""
    fields = ("label", "expires_seconds")
    return form(ENROLL, "Give a new token", *fields, values={"label": label}, name=name, rotate="true")


def revive(name: str) -> Form:
    """Revive a killed member."""
    return form(ENROLL, "Revive", "expires_seconds", name=name, revive="true")


def rename(name: str) -> Form:
    """Give a member another name."""
    return form(ENROLL, "Rename", "rename", name=name)


def revoke(name: str) -> Form:
    """Revoke a member's tokens."""
    return form(REVOKE, "Revoke its tokens", "label", "issued", style="danger", name=name)


def enroll() -> Form:
    """Enrol a member."""
    return form(ENROLL, "Enrol", "name", "kind", "role", "mode", "owner", "label", "expires_seconds", "chat")


def set_policy(name: str, value: str) -> Form:
    """Change a value of the policy."""
    return form(SET_POLICY, "Set", "value", about=name, values={"value": value}, name=name)


def sign_in() -> Form:
    """Get a link to sign in on another device."""
    return form(SIGN_IN, "Get a link for another device")


def letters() -> Form:
    """Change one's own letters. A field that is left empty stays as it is."""
    return form(NOTIFY, "Change", *SETTINGS)


def add_channel() -> Form:
    """Add a channel of one's own."""
    return form(NOTIFY, "Add the channel", "add_channel")


def remove_channel(number: int) -> Form:
    """Remove a channel of one's own."""
    return form(NOTIFY, "Remove", about=f"channel {number}", style="danger", remove_channel=str(number))


def test_letter(name: str) -> Form:
    """Send a test letter to a person."""
    return form(NOTIFY, "Send me a test letter", name=name)
