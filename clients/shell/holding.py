"""Work on tasks: claim, complete, review, snooze and hand off."""

import json as json_module
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import printed
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import (
    Styled,
    cited,
    plain,
    print_hanging,
    print_json,
    print_line,
    quoted,
    quoted_lines,
)
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.acting import RequestId, act, print_forecasts, receipt_of
from teamroom.clients.shell.app import SPAN, Json, bare, command, seconds
from teamroom.clients.shell.board import evidence_in_words, show_history
from teamroom.clients.shell.tasks import Fence, held_fence, show_updated
from teamroom.clients.shell.typed import Task, again, find_kind, offer_id, task_id
from teamroom.clients.shell.writing import Note, is_person_at_terminal, text_of, written
from teamroom.server.rules.text import backtick, state_in_words

if TYPE_CHECKING:
    from teamroom.server.acts.tasks.board import TaskShown
    from teamroom.server.acts.tasks.claims import Claimed
    from teamroom.server.acts.tasks.hand_offs import Answered, Offered
    from teamroom.server.acts.tasks.reviews import Completed, Reviewed

SECTION = "Work"

ACCEPT, SEND_BACK, DECLINE = "accept", "send_back", "decline"

VERDICTS = {
    **dict.fromkeys(("accept", "approve", "ok", "yes", "good"), ACCEPT),
    **dict.fromkeys(("send-back", "sendback", "back", "reject", "return", "no"), SEND_BACK),
}
"""How people write a verdict, and the room's word for it."""

ANSWERS = {
    **dict.fromkeys(("accept", "yes", "take"), ACCEPT),
    **dict.fromkeys(("decline", "no", "reject", "refuse", "withdraw", "cancel"), DECLINE),
}
"""How people answer an offer."""

EVIDENCE = ("commit", "file", "test", "link", "receipt")
ARTIFACTS = ("file", "commit", "link", "other")
"""The kinds of evidence and of artifacts."""

FILE_BYTES = 65_536
"""How much of a file is read at once for its hash."""

PROOFS = re.compile(r'and give its first word: proofs \[\{"ref": (?P<ref>"(?:[^"\\]|\\.)*"), "value": "…"\}\]\.')
"""How the room names the argument that proves an artifact."""


def _verdict(text: str) -> str:
    found = VERDICTS.get(text.casefold().replace("_", "-"))
    if found is None:
        raise typer.BadParameter(f"{text!r} is no verdict; write accept or send-back")
    return found


@command(SECTION)
def claim(
    context: typer.Context,
    place: Place,
    task: Annotated[
        str | None,
        typer.Argument(parser=task_id, metavar="TASK", help="The task. Default: the best open one that you can do."),
    ] = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Claim a task before you work on it. One claimer wins."""
    reply = act(place, context, "claim_task", request_id, task=task)
    if json:
        print_json(reply)
        return
    done: Claimed = shaped(reply)
    until = f" until {plain(date_and_time(done.lease_until))}" if done.lease_until else ""
    print_line(Styled(f"You hold {plain(done.task)}{until}{receipt_of(done)}: {quoted(done.title)}"))
    if done.needs:
        print_hanging(Styled("  needs", style="dim"), Styled(", ".join(map(cited, done.needs))))
    if done.detail:
        print_line(Styled(f"  @{plain(done.creator)} wrote:", style="dim"))
        for line in quoted_lines(done.detail):
            print_line(Styled(f"  {line}"))
    show_history(done.history)
    example = printed(f"done {plain(done.task)} 'WHAT YOU DID' --evidence 'test:COMMAND'", place.named_options)
    print_line(Styled(f"When it is done: {example}", style="dim"), is_whole=True)


@command(SECTION)
def done(
    context: typer.Context,
    place: Place,
    task: Task,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="What you did, or - for standard input.")
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            "--evidence",
            metavar="KIND:REF",
            help="What others can check again: commit, file, test, link or receipt, such as 'test:make test'. Repeat.",
        ),
    ] = None,
    fence: Fence = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Complete a task that you hold. Another member reviews it."""
    given = [_evidence(one) for one in evidence or ()]
    about = f"Write what you did in {task} above. Save nothing to leave the task as it is."
    with written(place, context, text, about) as found:
        fence = _newest_fence(place, task) if fence is None else fence
        arguments = {"task": task, "fence": fence, "summary": found.text, "evidence": given}
        reply = act(place, context, "complete_task", request_id, found, {"fence": fence}, **arguments)
    if json:
        print_json(reply)
        return
    made: Completed = shaped(reply)
    whom = f": @{plain(made.reviewer)} reviews it" if made.reviewer else ": any other member may review it"
    review = whom if made.state == "in_review" else ""
    print(f"{plain(made.task)} is {state_in_words(plain(made.state))}{receipt_of(made)}{review}.")


@command(SECTION)
def review(
    context: typer.Context,
    place: Place,
    task: Task,
    verdict: Annotated[str, typer.Argument(parser=_verdict, metavar="VERDICT", help="accept or send-back.")],
    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Why, or - for standard input.")] = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Judge another member's completed task. Check its evidence first."""
    about = _claimed_done(place, task, verdict) if not text and is_person_at_terminal(place) else ""
    with written(place, context, text, about) as found:
        reply = act(place, context, "review_task", request_id, found, task=task, verdict=verdict, note=found.text)
    if json:
        print_json(reply)
        return
    made: Reviewed = shaped(reply)
    did = "accepted" if verdict == ACCEPT else "sent back"
    print(f"{plain(made.task)} is {did} and {state_in_words(plain(made.state))}{receipt_of(made)}.")


def _claimed_done(place: Place, task: str, verdict: str) -> str:
    """Return what a member says that it did, for the editor. Raises Failure."""
    with connected(place) as room:
        shown: TaskShown = shaped(room.call("read_board", task=task)["task"])
    lines = [f"You {'accept' if verdict == ACCEPT else 'send back'} {task}: write why above. Save nothing to leave it."]
    lines += ["", f"{quoted(shown.title)} by @{plain(shown.completed_by or '')}:", *quoted_lines(shown.summary)]
    return "\n".join([*lines, *(f"evidence: {evidence_in_words(one)}" for one in shown.evidence)])


@command(SECTION)
def snooze(
    context: typer.Context,
    place: Place,
    task: Task,
    time: Annotated[float, typer.Argument(parser=seconds, metavar=SPAN, help="How long, such as 2h or 3d.")],
    note: Note = None,
    fence: Fence = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Hold the reminders of a task back for a while."""
    fence = held_fence(place, task) if fence is None else fence
    arguments = {"task": task, "fence": fence, "snooze_until": time, "note": note}
    reply = act(place, context, "update_task", request_id, None, {"fence": fence}, **arguments)
    show_updated(reply, json)


# ------------------------------------------------------------------ hand-offs


@command(SECTION)
def handoff(
    context: typer.Context,
    place: Place,
    what: Annotated[str, typer.Argument(metavar="ID", help="Your task, such as T-12, or an offer, such as O-3.")],
    to: Annotated[
        str,
        typer.Argument(parser=bare, metavar="NAME", help="Whom you offer the task. For an offer: accept or decline."),
    ],
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="What the next holder must know, or why you decline; or - for standard input.",
        ),
    ] = None,
    need: Annotated[
        list[str] | None, typer.Option("--need", metavar="TEXT", help="A further capability that it needs. Repeat.")
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option(
            "--artifact", metavar="KIND:REF", help="What it must reach: file:PATH, commit:ID, link:URL or other:TEXT."
        ),
    ] = None,
    proof: Annotated[
        list[str] | None,
        typer.Option("--proof", metavar="REF=HASH", help="To accept: the hash of an artifact. Repeat for each."),
    ] = None,
    fence: Fence = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Offer your task to another member, or answer an offer.

    teamroom handoff T-12 builder 'the tests are red'

    teamroom handoff O-3 accept

    teamroom handoff O-3 decline 'I am on call'
    """
    if find_kind(what) == "offer":
        _answer(place, context, offer_id(what), to, text_of(" ".join(text or ())), proof or (), request_id, json)
        return
    task = task_id(what)
    about = f"Write what @{plain(to)} must know about {task} above. Save nothing to offer nothing."
    artifacts = [_artifact(one) for one in artifact or ()]
    with written(place, context, text, about) as found:
        fence = _newest_fence(place, task) if fence is None else fence
        arguments = {"task": task, "fence": fence, "to": to, "note": found.text}
        arguments |= {"needs": need, "artifacts": artifacts or None}
        reply = act(place, context, "hand_off", request_id, found, {"fence": fence}, **arguments)
    if json:
        print_json(reply)
        return
    made: Offered = shaped(reply)
    until = plain(date_and_time(made.expires_at))
    print(f"Offered {plain(made.task)} as {plain(made.offer)} until {until}{receipt_of(made)}.")
    print_forecasts(made.forecast)
    withdraw = printed(f"handoff {plain(made.offer)} withdraw", place.named_options)
    print_line(
        Styled(f"You hold it until it is accepted. To withdraw the offer: {withdraw}", style="dim"), is_whole=True
    )


def _answer(
    place: Place,
    context: typer.Context,
    offer: str,
    answer: str,
    reason: str,
    proofs: Sequence[str],
    request_id: str | None,
    as_json: bool,
) -> None:
    """Accept or decline an offer, or withdraw an own one, and print what became of it. Raises Failure."""
    if (found := ANSWERS.get(answer.casefold())) is None:
        accept, decline = (backtick(again(context, {"to": one})) for one in (ACCEPT, DECLINE))
        raise Failure(f"{plain(answer)!r} is no answer to {offer}.", f"Run {accept} or {decline}.", USAGE)
    try:
        given = [_proof(one) for one in proofs]
        arguments = {"offer": offer, "accept": found == ACCEPT, "proofs": given or None, "reason": reason or None}
        reply = act(place, context, "answer_hand_off", request_id, **arguments)
    except Failure as failure:
        _name_proof(failure, context, proofs)
        raise
    if as_json:
        print_json(reply)
        return
    made: Answered = shaped(reply)
    yours = f", and {plain(made.task)} is yours" if made.fence is not None else ""
    until = f" until {plain(date_and_time(made.lease_until))}" if made.lease_until else ""
    print(f"{plain(made.offer)} is {state_in_words(plain(made.state))}{yours}{until}{receipt_of(made)}.")


def _name_proof(failure: Failure, context: typer.Context, proofs: Sequence[str]) -> None:
    """Have a refusal for a missing proof name the option that gives it."""
    if (named := PROOFS.search(failure.fix)) is None:
        return
    ref = str(json_module.loads(named["ref"]))
    others = [one for one in proofs if one.rpartition("=")[0] != ref]
    command = again(context, {}, {"proof": [*others, f"{ref}=HASH"]})
    failure.fix = failure.fix.replace(named[0], f"and put its first word in place of HASH: {backtick(command)}.")


def _newest_fence(place: Place, task: str) -> int:
    """Return the newest fence of a task, which is the caller's if it holds the task. Raises Failure."""
    with connected(place) as room:
        return int(room.call("read_board", task=task)["task"]["fence"])


# ------------------------------------------------------------------ evidence, artifacts and proofs


def _evidence(text: str) -> Mapping[str, str]:
    """Return evidence as it was written. A file that is here gets its hash."""
    kind, ref = _kind_and_ref(text, EVIDENCE)
    return {"kind": kind, "ref": ref, **_hash_of("value", kind, ref)}


def _artifact(text: str) -> Mapping[str, str]:
    """Return an artifact as it was written. A file that is here gets its hash, which the receiver must find too."""
    kind, ref = _kind_and_ref(text, ARTIFACTS)
    return {"kind": kind, "ref": ref, **_hash_of("sha256", kind, ref)}


def _kind_and_ref(text: str, kinds: Sequence[str]) -> tuple[str, str]:
    kind, colon, ref = text.partition(":")
    if kind.casefold() in kinds and ref.strip():
        return kind.casefold(), ref.strip()
    if kind.casefold() in ("http", "https"):
        return "link", text
    if not colon and Path(text).is_file():
        return "file", text
    raise typer.BadParameter(f"{text!r} has no kind; write KIND:REF with {', '.join(kinds[:-1])} or {kinds[-1]}")


def _hash_of(name: str, kind: str, ref: str) -> dict[str, str]:
    """Return the hash of a file under a name; nothing for another kind, and for a file that is not here."""
    if kind != "file" or not Path(ref).is_file():
        return {}
    import hashlib

    found = hashlib.sha256()
    try:
        with Path(ref).open("rb") as file:
            while block := file.read(FILE_BYTES):
                found.update(block)
    except OSError as error:
        raise Failure(f"{ref} cannot be read: {error.strerror}.", "Choose another file.", USAGE) from None
    return {name: found.hexdigest()}


def _proof(text: str) -> Mapping[str, str]:
    ref, equals, value = text.rpartition("=")
    if not equals or not ref:
        raise typer.BadParameter(f"{text!r} is no proof; write REF=HASH")
    return {"ref": ref, "value": value}
