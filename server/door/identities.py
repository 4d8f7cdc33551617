"""Who is behind a token: the look-up with which every call begins."""

import asyncio
import contextlib

from teamroom.server.identity import token_hash
from teamroom.server.store.engine import Transactions
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading

Followers = list[asyncio.Future[TokenRow | None]]


class Identities:
    """Finds the rows of tokens. One event loop uses it.

    Calls with one token that wait for a look-up that has not begun share it. So a member that calls often enough to
    keep every connection of the database busy takes one place in their line, and a pause does not wait behind it.
    """

    def __init__(self, store: Transactions) -> None:
        self._store = store
        self._waiting: dict[str, Followers] = {}
        """By the hash of a token, the calls that share the look-up of it that has not begun."""

    async def find(self, token: str) -> TokenRow | None:
        """The row of a token, as it is after this was called; None if there is none. Raises StorageError."""
        hash_ = token_hash(token)
        while (followers := self._waiting.get(hash_)) is not None:
            found: asyncio.Future[TokenRow | None] = asyncio.get_running_loop().create_future()
            followers.append(found)
            with contextlib.suppress(_LeftError):
                return await found
        return await self._look_up(hash_)

    async def _look_up(self, hash_: str) -> TokenRow | None:
        followers = self._waiting[hash_] = []

        def look(tx: Reading) -> TokenRow | None:
            self._begin(hash_, followers)  # who comes from now on may have to see what is written meanwhile
            return tx.one(TokenRow, "token_by_hash", hash=hash_)

        try:
            row = await self._store.look_up(look)
        except BaseException as error:
            self._begin(hash_, followers)
            for one in _that_wait(followers):
                one.set_exception(error if isinstance(error, Exception) else _LeftError())
            raise
        for one in _that_wait(followers):
            one.set_result(row)
        return row

    def _begin(self, hash_: str, followers: Followers) -> None:
        """From now on nobody joins this look-up. It can begin on another thread."""
        if self._waiting.get(hash_) is followers:
            del self._waiting[hash_]


def _that_wait(followers: Followers) -> Followers:
    """Those whose callers have not left."""
    return [one for one in followers if not one.done()]


class _LeftError(Exception):
    """The call that looked up has ended before it found anything; one of those that shared it looks up now."""
