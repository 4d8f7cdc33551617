"""Who is behind a token: the look-up with which every call begins."""

import json
from collections.abc import Callable

from teamroom.server.door.together import Answers, Together, Work
from teamroom.server.identity import token_hash
from teamroom.server.store.engine import Transactions
from teamroom.server.store.rows.members import TokenRow
from teamroom.server.store.transaction import Reading

TOKENS_AT_ONCE = 32
"""How many tokens one look-up finds at most."""


class Identities:
    """Finds the rows of tokens. One event loop uses it. Calls that wait for a look-up share it."""

    def __init__(self, store: Transactions) -> None:
        self._store = store
        self._look_ups: Together[str, TokenRow | None] = Together(self._look_up, _rows, TOKENS_AT_ONCE)

    async def find(self, token: str) -> TokenRow | None:
        """The row of a token, as it is after this was called; None if there is none. Raises StorageError."""
        return await self._look_ups.ask(token_hash(token))

    async def _look_up(
        self, work: Work[str, TokenRow | None], begins: Callable[[], object]
    ) -> Answers[str, TokenRow | None]:
        def look(tx: Reading) -> Answers[str, TokenRow | None]:
            begins()  # each statement of a look-up has a snapshot of its own
            return work(tx)

        return await self._store.look_up(look)


def _rows(tx: Reading, hashes: list[str]) -> dict[str, TokenRow | None]:
    """The rows of tokens, by their hashes."""
    if len(hashes) == 1:
        return {hashes[0]: tx.one(TokenRow, "token_by_hash", hash=hashes[0])}
    found = {row.hash: row for row in tx.all(TokenRow, "tokens_by_hashes", hashes=json.dumps(hashes))}
    return {hash_: found.get(hash_) for hash_ in hashes}
