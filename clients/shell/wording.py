"""The shell's words for what the room calls tools: a refusal names the command that a person runs."""

import json
import re
import shlex

from teamroom.server.rules.text import backtick

COMMANDS = {
    **{name: name for name in ("pause", "resume", "kill", "enroll", "revoke", "plant", "redact")},
    "notify": "letters set",
    "overnight": "overnight",
    "who": "roster",
    "read_board": "board",
    "read_messages": "stream",
    "check_in": "inbox",
    "post_message": "post",
    "create_task": "task add",
    "update_task": "task edit",
    "claim_task": "claim",
    "complete_task": "done",
    "review_task": "review",
    "hand_off": "handoff",
    "answer_hand_off": "handoff",
    "read_receipts": "receipts",
    "set_policy": "policy",
    "require_approval": "rules",
    "decide": "decide",
    "authorize": "authorize",
    "sign_in": "sign-in",
    "import_task": "import",
    "teamroom://plants": "plant",
    "teamroom://channels": "letters show",
}
"""The tools and resources that refusals name, and the shell command for each."""

NAMED_TOOL = re.compile(rf"\b(?:(?P<verb>Call|Read) )?(?<![@:/.-])\b(?P<tool>{'|'.join(COMMANDS)})\b(?![/-])")
WITHDRAW = re.compile(r"answer_hand_off offer (O-\d+) accept false")
ABOUT_TASK = re.compile(r"\b(?P<tool>update_task|read_board|claim_task|review_task) task (?P<task>T-\d+)")
BLOCK = re.compile(
    r'update_task task (?P<task>T-\d+) fence \d+ status blocked blocked_on "(?P<on>[^"]+)"'
    r'(?: note (?P<note>"(?:[^"\\]|\\.)*"))?'
)
"""How the room names the arguments of a corrected call."""

WITHOUT_AFTER = " without after, and continue from the cursor it returns"
WITHOUT_IDS = "Call read_messages without ids"
CORRECTED = re.compile(r"Call (?P<tool>\w+) with “")


def with_commands(fix: str) -> str:
    """Return the fix of a refusal with shell commands instead of tools."""
    corrected = CORRECTED.match(fix)
    if corrected is not None and corrected["tool"] in COMMANDS:
        return f"Run `teamroom {COMMANDS[corrected['tool']]} --help` to see its options."
    fix = WITHDRAW.sub(r"`teamroom handoff \1 withdraw`", fix.replace(WITHOUT_IDS, "Call read_messages"))
    fix = BLOCK.sub(_block, fix)
    fix = ABOUT_TASK.sub(lambda found: f"`teamroom {COMMANDS[found['tool']]} {found['task']}`", fix)
    return NAMED_TOOL.sub(_command, fix).replace("call `teamroom ", "run `teamroom ").replace(WITHOUT_AFTER, "")


def _block(call: re.Match[str]) -> str:
    note = [] if call["note"] is None else ["--note", json.loads(call["note"])]
    return backtick(shlex.join(["teamroom", "task", "block", *note, call["task"], call["on"]]))


def _command(named: re.Match[str]) -> str:
    tool, verb = named["tool"], named["verb"]
    if verb is None and tool.isalpha():  # also an English word, as in "wait for its resume"
        return named[0]
    return f"{'Run ' if verb else ''}`teamroom {COMMANDS[tool]}`"
