"""Signs people in to the page: a link that counts once, and the session that it opens.

A link holds a code; the room keeps only its hash. Whoever opens the link within `LINK_SECONDS` gets a session: a token
of the kind `browser`, in a cookie. So revoking, killing and rotating end sessions as they end other tokens.
"""

import base64
import re

from teamroom.server.acts.act import Act, Arguments, Reply, author, date_from_now
from teamroom.server.acts.members.members import MemberName, end_tokens, issue_token
from teamroom.server.clock import rfc3339
from teamroom.server.facts.ended import watch_tokens
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.roles import EVERYBODY
from teamroom.server.facts.task import ROOM_AUTHOR
from teamroom.server.identity import BROWSER, CHAT, Caller, Entropy, token_hash
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Author
from teamroom.server.refusals import Refusal
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import LiveToken, MemberRow, SignInRow
from teamroom.server.store.rows.permissions import Named
from teamroom.server.store.transaction import Reading, Writing

SIGN_IN_PATH = "/sign-in"

LINK_SECONDS = 600
"""For how long a link can be opened."""

CODE_BYTES = 15
"""120 bits: 24 letters and digits, which can be typed and not guessed."""

GROUP = 6
"""The characters of a code between two dashes."""

SESSION_LABEL = "browser"

NEW_LINK = "Get a new link in a shell: teamroom sign-in"


SESSIONS = 16
"""How many sessions a person can have at once; the oldest ends for a further one."""


class SignIn(Arguments):
    """Arguments of `sign_in`: the person who gets the link, by default the caller."""

    name: MemberName | None = None


class SignInLink(Reply):
    """Reply of `sign_in`: a link that counts once, and its code, for a page without script. Both are shown only once.

    `until`: until when it can be opened. `url` and `code` are None in the reply to a repeated call.
    """

    name: str
    url: str | None
    code: str | None
    until: str

    def remembered(self) -> "SignInLink":
        """Without the code: the room keeps only its hash."""
        return self.model_copy(update={"url": None, "code": None})


def make_sign_in(tx: Writing, caller: Caller, arguments: SignIn) -> SignInLink:
    """Make a link for a person to sign in with. It takes the place of that person's link before. Raises Refusal."""
    if caller.kind != "human" or caller.token_kind == CHAT:
        who = "an agent" if caller.kind != "human" else "a chat client"
        raise Refusal(
            "not_allowed",
            f"A link signs in a person, so {who} cannot make one.",
            "The person runs in a shell: teamroom sign-in",
        )
    member = _person(tx, caller, arguments.name or caller.name)
    seq = log.append(
        tx,
        author(caller),
        act="sign_in",
        subject=f"@{member.name}",
        summary=f"@{caller.name} made a link with which @{member.name} can sign in once",
    )
    return _make(tx, member, caller.token_id, seq)


def offer_sign_in(tx: Writing, seconds: float = LINK_SECONDS) -> SignInLink | None:
    """Make a link for the room's first owner, when the room starts; None once that person has signed in or was killed.

    The room makes it, for the person who has the room's folder. `seconds`: for how long it can be opened.
    """
    name = tx.only(Named, "first_person").name
    member = tx.one(MemberRow, "member_by_name", name=name)
    if member is None or member.role != "owner" or tx.value(int, "has_signed_in", member=member.id) is not None:
        return None
    if tx.only(StandingRow, "standing", scope="member", target=member.id).state == "killed":
        return None
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="sign_in",
        subject=f"@{name}",
        summary=f"The room made a link with which @{name} can sign in once",
    )
    return _make(tx, member, None, seq, seconds)


def require_link(tx: Reading, code: str) -> SignInRow:
    """The link with a code, if it can be opened now. Raises Refusal."""
    row = tx.one(SignInRow, "sign_in_by_hash", hash=token_hash(read_code(code)))
    if row is None or row.expires_at <= tx.now or _has_ended(tx, row):
        raise Refusal("expired", "This link was used before, or is too old, or never was one.", NEW_LINK)
    if row.state == "killed":
        raise Refusal("killed", f"@{row.name} was killed.", f"Only another room owner can revive @{row.name}.")
    return row


def open_session(tx: Writing, code: str, former: Caller | None) -> str:
    """Use a link up, and return the token of the session that it opens. Raises Refusal.

    `former`: whose session the browser had until now; it ends. Of a person's sessions, the newest `SESSIONS` are kept.
    """
    row = require_link(tx, code)
    if former is not None:
        end_session(tx, former)
    _make_room(tx, row)
    tx.run("drop_sign_in", member=row.member)
    seconds = float(tx.settings.browser_seconds)
    if row.issuer_expires_at is not None:
        seconds = min(seconds, row.issuer_expires_at - tx.now)
    log.append(
        tx,
        Author(row.member, row.owner),
        act="sign_in",
        subject=f"@{row.name}",
        summary=f"@{row.name} signed in with a browser",
    )
    token, _ = issue_token(tx, row.member, SESSION_LABEL, seconds, kind=BROWSER, issued_by=row.issued_by)
    watch_tokens(tx, row.member)
    return token


def _make_room(tx: Writing, row: SignInRow) -> None:
    """End a person's oldest sessions until one more fits."""
    live = tx.all(LiveToken, "live_tokens", member=row.member, now=tx.now)
    oldest = [token.id for token in live if token.kind == BROWSER][: 1 - SESSIONS]
    for token in oldest:
        tx.run("revoke_token", id=token, member=row.member, now=tx.now)
    end_tokens(tx, oldest)


def end_session(tx: Writing, caller: Caller) -> None:
    """End the session of a browser, whatever the standing of its person."""
    if not tx.run_counted("revoke_token", id=caller.token_id, member=caller.member, now=tx.now):
        return  # it has ended already
    end_tokens(tx, [caller.token_id])
    watch_tokens(tx, caller.member)
    summary = f"@{caller.name} signed out of a browser"
    log.append(tx, author(caller), act="sign_out", subject=f"@{caller.name}", summary=summary)


def read_code(code: str) -> str:
    """A code as it was made, however a person typed it: without dashes and spaces, in capitals."""
    return re.sub(r"[\s-]", "", code).upper()


def _person(tx: Reading, caller: Caller, name: str) -> MemberRow:
    """The person who is to sign in: the caller, or anybody for a room owner. Raises Refusal."""
    member = tx.one(MemberRow, "member_by_name", name=name)
    if member is None:
        raise no_such_member(tx, name, f"Enroll that person first: teamroom enroll {name} --kind human")
    if member.kind != "human":
        raise Refusal(
            "invalid",
            f"@{member.name} is an agent, and agents do not use the page.",
            "Name a person.",
            subject=f"@{member.name}",
        )
    if member.id != caller.member and caller.role != "owner":
        raise Refusal(
            "not_allowed",
            f"With a link, its holder acts as @{member.name}, so only @{member.name} or a room owner makes one.",
            f"@{member.name} runs in a shell: teamroom sign-in",
            subject=f"@{member.name}",
        )
    return member


def _make(tx: Writing, member: MemberRow, issued_by: str | None, seq: int, seconds: float = LINK_SECONDS) -> SignInLink:
    code = new_code(tx.entropy)
    tx.run(
        "put_sign_in",
        member=member.id,
        hash=token_hash(read_code(code)),
        issued_by=issued_by,
        expires_at=tx.now + seconds,
    )
    url, until = f"{tx.settings.members_url}{SIGN_IN_PATH}#{code}", rfc3339(date_from_now(tx, seconds))
    return SignInLink(receipt=seq, name=member.name, url=url, code=code, until=until)


def new_code(entropy: Entropy) -> str:
    """A new code, in groups that a person can type."""
    letters = base64.b32encode(entropy(CODE_BYTES)).decode()
    return "-".join(letters[start : start + GROUP] for start in range(0, len(letters), GROUP))


def _has_ended(tx: Reading, row: SignInRow) -> bool:
    """Whether the token that made a link has ended since."""
    if row.issued_by is None:
        return False
    return row.issuer_revoked_at is not None or (row.issuer_expires_at or tx.now + 1) <= tx.now


SIGN_IN = Act("sign_in", SignIn, SignInLink, make_sign_in, roles=EVERYBODY, shown_to_agents=frozenset())
