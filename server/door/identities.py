"""Who is behind a token, with which every call begins: looked up, or known from an earlier call."""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from teamroom.server.door.together import Answers, Together, Work
from teamroom.server.identity import token_hash
from teamroom.server.store.engine import Transactions
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading

TOKENS_AT_ONCE = 32
"""How many tokens one look-up finds at most."""

TOKENS_KNOWN = 4096
"""Of how many tokens the rows are kept while nothing changes whom a token identifies."""

Rows = Answers[str, TokenRow | None]


class _Known(NamedTuple):
    """The row of a token, and the version of the room's identities that it is from."""

    row: TokenRow
    version: Hashable


class Identities:
    """Finds the rows of tokens. One event loop uses it. Calls that wait for a look-up share it.

    Where the store knows when identities last changed, a row is looked up once. It permits nothing: each act and each
    read checks the token and the standing in its own transaction.
    """

    def __init__(self, store: Transactions) -> None:
        self._store = store
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._look_ups = Together[str, TokenRow | None](self._look_up, _rows, TOKENS_AT_ONCE)

    async def find(self, token: str) -> TokenRow | None:
        """The row of a token, as it is after this was called; None if there is none. Raises StorageError."""
        hash_, version = token_hash(token), self._store.identity_version
        known = self._known.get(hash_)
        if known is not None and known.version == version:
            return known.row
        row = await self._look_ups.ask(hash_)
        if version is not None and row is not None:
            self._keep(hash_, _Known(row, version))
        return row

    def _keep(self, hash_: str, known: _Known) -> None:
        """Keep a row. Its version is from before the look-up, so that the row is no older."""
        self._known.pop(hash_, None)  # the newest is the last
        self._known[hash_] = known
        if len(self._known) > TOKENS_KNOWN:
            self._known.popitem(last=False)

    async def _look_up(self, work: Work[str, TokenRow | None], begins: Callable[[], object]) -> Rows:
        def look(tx: Reading) -> Rows:
            begins()  # each statement of a look-up has a snapshot of its own
            return work(tx)

        return await self._store.look_up(look)


def _rows(tx: Reading, hashes: list[str]) -> dict[str, TokenRow | None]:
    """The rows of tokens, by their hashes."""
    if len(hashes) == 1:
        return {hashes[0]: tx.one(TokenRow, "token_by_hash", hash=hashes[0])}
    found = {row.hash: row for row in tx.all(TokenRow, "tokens_by_hashes", hashes=json.dumps(hashes))}
    return {hash_: found.get(hash_) for hash_ in hashes}
