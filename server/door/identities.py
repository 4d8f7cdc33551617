"""Who is behind a token: the look-up with which every call begins."""

import asyncio

from teamroom.server.identity import token_hash
from teamroom.server.store.engine import Transactions
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading


class Identities:
    """Finds the rows of tokens. One event loop uses it.

    Calls with one token that wait for a look-up that has not begun share it. So a member that calls often enough to
    keep every connection of the database busy takes one place in their line, and a pause does not wait behind it.
    """

    def __init__(self, store: Transactions) -> None:
        self._store = store
        self._waiting: dict[str, asyncio.Future[TokenRow | None]] = {}
        """By the hash of a token, the look-up of it that has not begun."""

    async def find(self, token: str) -> TokenRow | None:
        """The row of a token, as it is after this was called; None if there is none. Raises StorageError."""
        hash_ = token_hash(token)
        while (shared := self._waiting.get(hash_)) is not None:
            try:
                return await asyncio.shield(shared)
            except _LeftError:
                continue
        return await self._look_up(hash_)

    async def _look_up(self, hash_: str) -> TokenRow | None:
        own = self._waiting[hash_] = asyncio.get_running_loop().create_future()

        def look(tx: Reading) -> TokenRow | None:
            self._begin(hash_, own)  # who comes from now on may have to see what is written meanwhile
            return tx.one(TokenRow, "token_by_hash", hash=hash_)

        try:
            row = await self._store.look_up(look)
        except BaseException as error:
            self._begin(hash_, own)
            own.set_exception(error if isinstance(error, Exception) else _LeftError())
            own.exception()  # if nobody shares it, nobody asks for this
            raise
        own.set_result(row)
        return row

    def _begin(self, hash_: str, own: asyncio.Future[TokenRow | None]) -> None:
        """From now on nobody joins this look-up. It can begin on another thread."""
        if self._waiting.get(hash_) is own:
            del self._waiting[hash_]


class _LeftError(Exception):
    """The call that looked up has ended before it found anything; one of those that shared it looks up now."""
