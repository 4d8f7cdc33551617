"""`teamroom verify`: checks the log in the data folder against its hash chain and its seal, and changes nothing."""

import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamroom.clients.local.snapshot import snapshot
from teamroom.clients.session.failure import FAILED, USAGE, Failure
from teamroom.clients.session.progress import Report, progress
from teamroom.clients.session.terminal import plain, print_json
from teamroom.clients.session.times import date_and_time
from teamroom.server.clock import rfc3339
from teamroom.server.record.chain import KeptHead, Verification, Verifier
from teamroom.server.record.keys import PublicKey, find_key
from teamroom.server.record.rebuild import Rebuilt, plural
from teamroom.server.record.seal import Seals, read_seals
from teamroom.server.record.sealed import Seal
from teamroom.server.store.folder import DATABASE, KEY, SEAL
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Reading

QUIET_SECONDS = 2.0
"""A verification that takes longer than this shows its progress."""

SEAL_WAIT_SECONDS = 2.0
SEAL_PACE_SECONDS = 0.2
"""How long, and how often, to look for a missing seal: it takes the place of its draft in one step."""

HASH = re.compile(r"[0-9a-f]{64}")
MOST = 2**53
"""Heads have smaller numbers than this."""

NO_SEAL = "there is no seal next to the database, so a truncated log would not be noticed"


@dataclass(frozen=True)
class Verified:
    """The result of verifying the chain, and the seal that it was compared with."""

    verification: Verification
    seal: Seal | None

    @property
    def good(self) -> bool:
        """Whether every entry verifies, and a seal proves the end of the log."""
        return self.verification.good and self.seal is not None

    @property
    def why(self) -> str:
        """What is wrong, in words; empty if nothing is."""
        return self.verification.why if not self.verification.good else "" if self.seal is not None else NO_SEAL


@dataclass(frozen=True)
class Against:
    """What a reader brings along: the public key if it has no secret one, and a head that it kept."""

    key: PublicKey | None = None
    head: KeptHead | None = None


def verify(folder: Path, as_json: bool, against: Against = Against()) -> int:
    """Verify the folder's log and print the result; returns the exit code. Raises Failure."""
    with progress("Verifying", "Comparing", quiet_seconds=QUIET_SECONDS) as (report, compared):
        found = verified(folder, report, against=against, compared=compared)
    _show(found, as_json)
    return 0 if found.good else FAILED


def print_key(folder: Path, as_json: bool) -> int:
    """Print the room's public key, with which anyone can check its seals; returns the exit code. Raises Failure."""
    key = find_key(folder)
    if key is None:
        raise Failure(f"{folder / KEY} is missing or contains no key.", "Name the room's folder with --data.")
    if as_json:
        print_json({"public_key": str(key.public)})
    else:
        print(key.public)
    return 0


def against(kept: str | None, signed_by: str | None) -> Against:
    """Read what a reader brings along: `HASH@NUMBER`, and a public key. Raises Failure."""
    try:
        key = None if signed_by is None else PublicKey(signed_by)
    except ValueError:
        raise Failure("--signed-by is not a public key.", "Give what `teamroom verify --key` printed.", USAGE) from None
    if kept is None:
        return Against(key)
    hash_, at, number = kept.partition("@")
    if not at or not number.isdecimal() or not HASH.fullmatch(hash_) or not 0 < int(number) < MOST:
        raise Failure(f"--against {kept!r} is not a head.", "Give HASH@NUMBER, as receipts have it in `head`.", USAGE)
    return Against(key, KeptHead(int(number), hash_))


def verified(
    folder: Path,
    report: Report = lambda done, total: None,
    seal_wait_seconds: float = SEAL_WAIT_SECONDS,
    against: Against = Against(),
    compared: Report = lambda done, total: None,
) -> Verified:
    """Verify the folder's log, also while its server runs. Raises Failure if it cannot be read.

    `report` gets the entries that were verified, `compared` the rows that were compared with what the log says.
    """
    seals = _seals(folder, seal_wait_seconds)  # read before the log, which must contain what is sealed
    key = against.key or find_key(folder)
    verifier = Verifier(seals.seal, key, seals.history, against.head, rows=Rebuilt(compared))
    verdict = None
    while verdict is None:
        with snapshot(folder) as tx:  # one snapshot per page, so that the server's checkpoints need not wait
            verdict = _step(verifier, tx)
            report(verifier.seq, int(tx.only(ReadHead, "read_head").seq))
    return Verified(verdict, seals.seal)


def _step(verifier: Verifier, tx: Reading) -> Verification | None:
    """Verify the next page. An unreadable page is verified entry by entry, up to the unreadable one."""
    try:
        return verifier.step(tx)
    except sqlite3.Error:
        verdict = None
    while verdict is None:
        try:
            verdict = verifier.step(tx, limit=1)
        except sqlite3.Error as error:
            verdict = verifier.unreadable(str(error))
    return verdict


def _seals(folder: Path, wait_seconds: float) -> Seals:
    give_up_at = time.monotonic() + wait_seconds
    while not (folder / SEAL).exists() and (folder / DATABASE).exists() and time.monotonic() < give_up_at:
        time.sleep(SEAL_PACE_SECONDS)
    seals = read_seals(folder)
    if seals.is_unreadable:
        raise Failure(
            f"{folder / SEAL} contains no valid seal.", "The file was changed. Put back a copy, then verify again."
        )
    return seals


def as_data(found: Verified) -> dict[str, Any]:
    """Return the result as JSON values."""
    verdict, seal = found.verification, found.seal
    return {
        "good": found.good,
        "entries": verdict.entries,
        "hash": verdict.hash,
        "first_bad": verdict.first_bad,
        "why": found.why,
        "rebuilt": dict(verdict.rebuilt),
        "not_rebuilt": list(verdict.not_rebuilt),
        "named": list(verdict.named),
        "seal": None if seal is None else {"seq": seal.seq, "hash": seal.hash, "at": rfc3339(seal.at)},
    }


def _show(found: Verified, as_json: bool) -> None:
    if as_json:
        print_json(as_data(found))
        return
    verdict, seal = found.verification, found.seal
    if not verdict.good:
        print(f"BAD: entry {verdict.first_bad}: {plain(verdict.why)}.")
        print(f"The {verdict.entries} entries before it verify. The entries after it are not proven.")
    else:
        print(f"{verdict.entries} entries verify.")
        rows = ", ".join(plural(table, count) for table, count in verdict.rebuilt.items() if count)
        print(f"rebuilt    {rows or 'nothing'}: as the log says")
        for what in verdict.not_rebuilt:
            print(f"not rebuilt  {what}")
    for line in verdict.named:
        print(f"NOTE: {plain(line)}.")
    print(f"last hash  {verdict.hash}")
    if seal is None:
        print(f"seal       missing: {NO_SEAL}.")
    elif verdict.good:
        print(f"seal       entry {seal.seq} at {date_and_time(rfc3339(seal.at))}, signed with the room's key")
    else:
        print(f"seal       entry {seal.seq} at {date_and_time(rfc3339(seal.at))}")
