"""Where members' words are: every column of text in the database, and how a redaction removes what it holds.

A test compares these lists with the schema. A column of text that a migration adds must be in one of them.
"""

import hashlib
from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, ...]] = {
    "approval.call": ("take_approval",),
    "authorisation.reason": ("take_authorisation",),
    "authorisation.scope": ("take_authorisation",),
    "capability.capability": ("drop_capability",),
    **dict.fromkeys(
        (
            *("decision.question", "decision.detail", "decision.options", "decision.artifacts", "decision.digest"),
            "decision.note",
        ),
        ("take_decision",),
    ),
    "harness.tool": ("hide_tool",),
    "log.detail": ("take_content",),
    "log.summary": ("take_content",),
    "message.summary": ("take_message",),
    "message.text": ("take_message",),
    "message_text.summary": ("unindex_message", "tidy_messages"),
    "message_text.text": ("unindex_message", "tidy_messages"),
    "need.need": ("take_need", "drop_need", "take_needs", "drop_redacted_needs"),
    "offer.artifacts": ("take_offer",),
    "offer.needs": ("take_offer",),
    "offer.note": ("take_offer",),
    "offer.reason": ("take_offer",),
    "origin.external": ("hide_origin",),
    "origin.given": ("hide_origin",),
    "plant.capability": ("remove_plant_of",),
    "plant.hint": ("remove_plant_of",),
    "plant.reads": ("remove_plant_of",),
    "presence.last_note": ("forget_note",),
    "probe.capability": ("close_probe", "close_probes"),
    "refusal.subject": ("forget_refusal",),
    "request.key": ("forget_replies", "take_key"),
    "request.reply": ("forget_replies", "take_reply"),
    "standing.reason": ("take_reason",),
    "runtime.branch": ("forget_runtime",),
    "runtime.folder": ("forget_runtime",),
    "runtime.harness": ("forget_runtime",),
    "runtime.host": ("forget_runtime",),
    "runtime.version": ("forget_runtime",),
    "task.blocked_on": ("put_texts", "take_task", "take_finished_task"),
    "task.detail": ("put_texts", "take_task", "take_finished_task"),
    "task.evidence": ("put_texts", "take_task", "take_finished_task"),
    "task.first_need": ("take_need", "drop_need", "take_needs", "drop_redacted_needs"),
    "task.requires": ("put_texts", "take_task", "take_finished_task"),
    "task.summary": ("put_texts", "take_task", "take_finished_task"),
    "task.title": ("put_texts", "take_task", "take_finished_task"),
    "task_text.detail": ("tidy_tasks",),
    "task_text.title": ("tidy_tasks",),
    "task_entry.detail": ("take_task_entries",),
    "task_entry.text": ("take_task_entries",),
    "token.label": ("take_labels",),
    "wake.line": ("take_wakes", "take_wakes_about"),
    "wake.subject": ("take_wake_subjects",),
}
"""The columns that hold members' words, each with the statements that remove them.

`presence.last_note`, `origin.given`, `approval.call` and `decision.digest` hold digests of words. A guess could be
checked against these. The engine keeps `task.first_need` up to date with `need`, and removes from `task_text` what
changes in `task`.
"""

WITHOUT_WORDS: Mapping[str, frozenset[str]] = {
    "names of members, which are identities and stay": frozenset(
        {
            *("member.name", "member.folded", "member.looks"),
            *("former_name.name", "former_name.folded", "former_name.looks"),
        }
    ),
    "hashes, digests, salts, nonces and random values": frozenset(
        {
            *("head.hash", "log.digest", "log.hash", "log.salt", "plant.value", "probe.nonce", "token.hash"),
            *("token.id", "token.issued_by", "request.arguments", "trouble.nonce", "supervisor.holder"),
            *("server.id", "lease.holder"),
            *("confirmation.nonce", "channel.mark", "sign_in.hash", "sign_in.issued_by"),
        }
    ),
    "words of the room: one of a list, or a sentence that the room composes of names, numbers and states": frozenset(
        {
            *("member.kind", "member.role", "member.mode", "standing.scope", "standing.state", "standing.by_role"),
            "token.kind",
            *("pause.scope", "log.act", "log.outcome", "wake.reason", "message.kind", "task.state", "task.review"),
            *("decision.state", "authorisation.level", "approval_rule.level", "task.authorised"),
            *("task_entry.kind", "offer.state", "request.act", "refusal.act", "refusal.code", "due.rule"),
            "refused_call.act",
            *("reminder.rule", "reminder.outcome", "reminder.reason", "trouble.verdict", "trouble.reason"),
            *("trouble.question", "trouble.expected", "notice.reason", "notice.kind", "delivery.kind"),
            *("delivery.state", "delivery.reason", "listener.mechanism", "listener.server", "migration.name"),
            *("channel.kind", "harness.format", "harness.phase"),
        }
    ),
    "a duty, and lists of members' numbers": frozenset({"lease.duty", "server.listens", "server.connected"}),
    "numbers and names of things: a subject never holds a text": frozenset({"log.subject", "notice.subject"}),
    "values of settings, which have a form": frozenset(
        {
            *("policy.document", "letter_setting.quiet", "letter_setting.zone", "letter_setting.digest_time"),
            *("approval_rule.matched", "approval_rule.exceptions", "approval_rule.scope"),
        }
    ),
    "what a listener calls itself: digits and small letters": frozenset(
        {"listener.listener", "wake.listener", "presence.verified"}
    ),
    "the beginning of a commit's hash": frozenset({"runtime.revision"}),
    "what a redaction keeps: numbers, names and states": frozenset({"kept.part"}),
}
"""The columns of text that hold no members' words, by the reason."""

SAID_AGAIN: tuple[str, ...] = ("check_in", "claim_task", "declare_capabilities", "heartbeat")
"""Acts whose remembered reply is forgotten, because the act itself returns the same again when it is repeated."""

REPLIES: Mapping[str, tuple[str, ...]] = {
    "authorize": ("scope", "reason"),
    "check_authorization": ("scope",),
    "decide": ("answer",),
    "require_approval": ("match", "exceptions", "scope"),
    "request_decision": ("digest",),
    "enroll": ("label",),
    "plant": ("capability", "read", "where"),
}
"""The fields with members' words in other remembered replies. They are replaced, and the rest of the reply stays."""


def hidden_key(key: str) -> str:
    """The key of a remembered call once a redaction has hidden its request id, which can be any text."""
    return f"id:sha256-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"


def hidden_text(text: str) -> str:
    """What stays of a task's id elsewhere, or of a report, once a redaction has hidden it. Neither begins with a space.

    The same text is recognised when it is said again.
    """
    return f" sha256-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def is_hidden_text(stored: str) -> bool:
    """Whether a redaction has hidden what was stored."""
    return stored.startswith(" ")
