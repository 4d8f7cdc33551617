"""The topics that each statement changes, for the listeners that follow them.

A topic names what is read, not who reads it: `stream`, `board`, `task:12`, `inbox:7` and `me:7` of a member,
`member:7`, `owner:7` and `room:0` for the standing set at each level, `roster`, `tools:7`, `plants`, `policy`,
`channels`. A listener on a resource follows the resource's topics. A change is a hint to read again: the passing of
time changes no topic, and neither does presence, which every call moves.
"""

from collections.abc import Callable, Mapping
from typing import Any

Topics = tuple[str, ...]
Parameters = Mapping[str, Any]
Change = Callable[[Parameters, Any], Topics]
"""Returns topics, given a statement's parameters and the caller's row, which is None if the room itself acts."""


def _always(*topics: str) -> Change:
    return lambda given, caller: topics


def _task(given: Parameters, caller: Any) -> Topics:
    mine = () if caller is None else (f"me:{caller.member}",)
    return ("board", f"task:{given['id']}", *mine)


def _claim(given: Parameters, caller: Any) -> Topics:
    return (*_task(given, caller), f"me:{given['holder']}")


def _part_of_task(given: Parameters, caller: Any) -> Topics:
    return (f"task:{given['task']}",)


def _wake(given: Parameters, caller: Any) -> Topics:
    """A member that is woken about a task or an offer may have gained or lost it."""
    member, is_of_work = given["member"], given["subject"][:2] in ("T-", "O-")
    return (f"inbox:{member}", f"me:{member}") if is_of_work else (f"inbox:{member}",)


def _member(name: str) -> Change:
    return lambda given, caller: ("roster", f"member:{given[name]}", f"me:{given[name]}")


def _role(given: Parameters, caller: Any) -> Topics:
    return (*_member("id")(given, caller), f"tools:{given['id']}")


def _standing(given: Parameters, caller: Any) -> Topics:
    level, target = given["scope"], given["target"]
    own = (f"me:{target}",) if level == "member" else ()
    return ("roster", f"{level}:{target}", *own)


CHANGES: Mapping[str, Change] = {
    "append_entry": _always("stream"),
    "add_wake": _wake,
    "add_offer": lambda given, caller: (f"inbox:{given['receiver']}",),
    **dict.fromkeys(
        (
            "add_task",
            "progress",
            "free_task",
            "hold_again",
            "offer_task",
            "complete_task",
            "accept_task",
            "send_task_back",
            "edit_task",
            "set_reviewer",
            "take_task",
            "take_finished_task",
        ),
        _task,
    ),
    "claim": _claim,
    **dict.fromkeys(("add_need", "drop_needs", "add_dependency", "drop_dependencies", "add_task_entry"), _part_of_task),
    "add_verdict": _member("completer"),
    "add_member": _member("id"),
    "change_member": _role,
    "set_mode": _member("member"),
    "open_standing": _standing,
    "set_standing": _standing,
    **dict.fromkeys(
        (
            "declare_capability",
            "forget_capability",
            "withdraw_capability",
            "prove_capability",
            "fail_capability",
            "attest_capability",
            "withdraw_attestation",
        ),
        _member("member"),
    ),
    "note_trouble": _member("member"),
    "end_trouble": _member("member"),
    "end_proofs": _always("roster"),
    "add_plant": _always("plants"),
    "remove_plant": _always("plants"),
    "set_policy": _always("policy"),
    **dict.fromkeys(("add_delivery", "try_delivery_again", "end_delivery"), _always("channels")),
}
