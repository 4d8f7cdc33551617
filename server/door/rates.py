"""How fast each member may act. Every limit is the member's own, so nobody is slowed down by what another one sends.

A call over a limit is refused at once, before it costs a transaction. The counts are kept in memory: a restart of the
server forgets them.
"""

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from teamroom.server.clock import Clock
from teamroom.server.door.repeated import RefusedCalls
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.settings import FixedSettings
from teamroom.server.store.transaction import Spent

OVERTAKING_ACTS, OVERTAKING_SECONDS = 20, 10.0
"""How many of a member's control acts overtake all waiting work in such a span; further ones wait like others."""

PEOPLES_SHARE = 10
"""A person may send so many times what an agent may, because people also import."""

NOT_COUNTED = frozenset({"paused", "busy", "storage", "rate_limited"})
"""Refusals that are not the caller's mistake."""

DAY_SECONDS = 86_400.0


class Bucket:
    """A budget that refills steadily: `burst` at once, and `rate` a second from then on."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst, self._rate, self._left, self._at = burst, rate, burst, now

    def missing_seconds(self, amount: float, now: float) -> float:
        """In how many seconds the amount is there; 0 if it is there now."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(amount, self._burst) - self._left) / self._rate)

    def take(self, amount: float) -> None:
        """Take an amount that is there."""
        self._left -= amount


@dataclass(slots=True)
class Budgets:
    """What one member has left."""

    acts: Bucket
    bytes: Bucket
    refusals: Bucket
    overtook: deque[float] = field(default_factory=lambda: deque(maxlen=OVERTAKING_ACTS))
    limited_at: float = -math.inf
    """When a refusal of this kind last left a receipt."""


class Rates:
    """The budgets of all members of a room."""

    def __init__(self, settings: FixedSettings, steady: Clock) -> None:
        self._settings = settings
        self._steady = steady
        self._budgets: dict[int, Budgets] = {}
        self._spent: dict[int, Spent] = {}
        self._spending = threading.Lock()
        """Held while `_spent` changes: event loops count acts, and the writer's thread takes what they counted."""
        self.is_shared = False
        """Whether other servers must learn what members send to this one."""
        self.refused = RefusedCalls(settings, steady)

    def may_overtake(self, caller: Caller) -> bool:
        """Whether a control act of this member overtakes; counts it if so."""
        overtook, now = self._of(caller).overtook, self._steady()
        if len(overtook) == OVERTAKING_ACTS and now - overtook[0] < OVERTAKING_SECONDS:
            return False
        overtook.append(now)
        return True

    def take_act(self, caller: Caller, size: int) -> None:
        """Count one act, and the bytes of its arguments. Raises Refusal `rate_limited`."""
        share = _share(caller)
        budgets, now = self._of_member(caller.member, share), self._steady()
        self._require_care(caller, budgets, now)
        if (seconds := budgets.acts.missing_seconds(1, now)) > 0:
            limit = self._settings.acts_per_second * share
            raise _limited(f"@{caller.name} makes more than {limit:g} acts a second.", seconds)
        if (seconds := budgets.bytes.missing_seconds(size, now)) > 0:
            limit = self._settings.bytes_per_day * share
            raise _limited(f"@{caller.name} writes more than {limit / 1e6:g} MB a day.", seconds)
        budgets.acts.take(1)
        budgets.bytes.take(size)
        if self.is_shared:
            with self._spending:
                spent = self._spent.get(caller.member, Spent(share))
                self._spent[caller.member] = spent.with_more(Spent(share, 1, size))

    def take_spent(self) -> dict[int, Spent]:
        """What each member sent to this server since this was called last. Any thread may call this."""
        with self._spending:
            spent, self._spent = self._spent, {}
        return spent

    def spend(self, spent: Mapping[int, Spent]) -> None:
        """Count what members sent to another server. A budget that is overdrawn must refill before the next act."""
        for member, found in spent.items():
            budgets = self._of_member(member, found.share)
            for bucket, amount in ((budgets.acts, found.acts), (budgets.bytes, found.bytes)):
                bucket.missing_seconds(0, self._steady())
                bucket.take(amount)

    def give_back(self, caller: Caller) -> None:
        """Do not count an act that a pause refused: the first one after the resume must succeed."""
        self._of(caller).acts.take(-1)

    def require_care(self, caller: Caller) -> None:
        """Let a call pass, unless too many of the member's calls were refused. Raises Refusal `rate_limited`."""
        self._require_care(caller, self._of(caller), self._steady())

    def _require_care(self, caller: Caller, budgets: Budgets, now: float) -> None:
        if (seconds := budgets.refusals.missing_seconds(1, now)) > 0:
            limit = self._settings.refusals_per_minute * _share(caller)
            raise _limited(f"More than {limit} calls of @{caller.name} were refused in a minute.", seconds)

    def note_refusal(self, caller: Caller, refusal: Refusal) -> None:
        """Count a refused call, if another call could have been made in its place."""
        if refusal.code in NOT_COUNTED:
            return
        refusals = self._of(caller).refusals
        if refusals.missing_seconds(1, self._steady()) == 0:
            refusals.take(1)

    def is_news(self, caller: Caller) -> bool:
        """Whether a refusal of this kind leaves a receipt: the first one in each window does."""
        budgets, now = self._of(caller), self._steady()
        if now - budgets.limited_at < self._settings.refusal_window_seconds:
            return False
        budgets.limited_at = now
        return True

    def _of(self, caller: Caller) -> Budgets:
        return self._of_member(caller.member, _share(caller))

    def _of_member(self, member: int, share: int) -> Budgets:
        if (budgets := self._budgets.get(member)) is None:
            now, limits = self._steady(), self._settings
            budgets = self._budgets[member] = Budgets(
                Bucket(limits.acts_burst * share, limits.acts_per_second * share, now),
                Bucket(limits.bytes_per_day * share, limits.bytes_per_day * share / DAY_SECONDS, now),
                Bucket(limits.refusals_per_minute * share, limits.refusals_per_minute * share / 60, now),
            )
        return budgets


def _share(caller: Caller) -> int:
    return PEOPLES_SHARE if caller.kind == "human" else 1


def _limited(why: str, seconds: float) -> Refusal:
    wait = math.ceil(seconds)
    return Refusal(
        "rate_limited", why, f"Call again in {wait} s, and less often from then on.", retry_after_seconds=wait
    )
