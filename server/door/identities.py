"""Who is behind a token: the look-up with which every call begins."""

import asyncio
import contextlib
import json
from typing import NamedTuple

from teamroom.server.identity import token_hash
from teamroom.server.store.engine import Transactions
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading

TOKENS_AT_ONCE = 32
"""How many tokens one look-up finds at most."""

Followers = list[asyncio.Future[TokenRow | None]]


class LookUp(NamedTuple):
    """A look-up of some tokens: by the hash of each, the calls that share it besides the one that began it."""

    followers: dict[str, Followers]


class Identities:
    """Finds the rows of tokens. One event loop uses it.

    Calls that wait for a look-up that has not begun share it: they take one way to a thread of the database and back.
    Calls with one token share its place in it. So a member that calls often enough to keep every connection of the
    database busy takes one place in their line, and a pause does not wait behind it.
    """

    def __init__(self, store: Transactions) -> None:
        self._store = store
        self._next: LookUp | None = None
        """The newest look-up that has not begun."""
        self._waiting: dict[str, LookUp] = {}
        """By the hash of a token, the look-up of it that has not begun."""

    async def find(self, token: str) -> TokenRow | None:
        """The row of a token, as it is after this was called; None if there is none. Raises StorageError."""
        hash_ = token_hash(token)
        while (look_up := self._to_join(hash_)) is not None:
            found: asyncio.Future[TokenRow | None] = asyncio.get_running_loop().create_future()
            look_up.followers.setdefault(hash_, []).append(found)
            with contextlib.suppress(_LeftError):
                return await found
        return await self._look_up(hash_)

    def _to_join(self, hash_: str) -> LookUp | None:
        """The look-up that finds a token and has not begun, if there is one with a place."""
        if (look_up := self._waiting.get(hash_)) is not None:
            return look_up
        if (look_up := self._next) is None or len(look_up.followers) >= TOKENS_AT_ONCE:
            return None
        self._waiting[hash_] = look_up
        return look_up

    async def _look_up(self, hash_: str) -> TokenRow | None:
        look_up = self._next = self._waiting[hash_] = LookUp({hash_: []})

        def look(tx: Reading) -> dict[str, TokenRow | None]:
            return _rows(tx, self._begin(look_up))  # who comes from now on may have to see what is written meanwhile

        try:
            rows = await self._store.look_up(look)
        except BaseException as error:
            self._begin(look_up)
            for followers in look_up.followers.values():
                for one in _that_wait(followers):
                    one.set_exception(error if isinstance(error, Exception) else _LeftError())
            raise
        self._begin(look_up)  # a token that joined on this thread as it began is in no row: its callers look up again
        for token, followers in look_up.followers.items():
            for one in _that_wait(followers):
                if token in rows:
                    one.set_result(rows[token])
                else:
                    one.set_exception(_LeftError())
        return rows[hash_]

    def _begin(self, look_up: LookUp) -> list[str]:
        """From now on nobody joins this look-up; returns what it finds. It can begin on another thread."""
        if self._next is look_up:
            self._next = None
        hashes = list(look_up.followers)
        for hash_ in hashes:
            if self._waiting.get(hash_) is look_up:
                self._waiting.pop(hash_, None)
        return hashes


def _rows(tx: Reading, hashes: list[str]) -> dict[str, TokenRow | None]:
    """The rows of tokens, by their hashes."""
    if len(hashes) == 1:
        return {hashes[0]: tx.one(TokenRow, "token_by_hash", hash=hashes[0])}
    found = {row.hash: row for row in tx.all(TokenRow, "tokens_by_hashes", hashes=json.dumps(hashes))}
    return {hash_: found.get(hash_) for hash_ in hashes}


def _that_wait(followers: Followers) -> Followers:
    """Those whose callers have not left."""
    return [one for one in followers if not one.done()]


class _LeftError(Exception):
    """The call that looked up has ended before it found anything; one of those that shared it looks up now."""
