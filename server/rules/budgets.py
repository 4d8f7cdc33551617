"""Budgets: a number of things in a sliding span of time, and when the next one is allowed."""


def seconds_until_free(nth_newest_at: float | None, window: float, now: float) -> float:
    """Seconds until a budget has room again; 0 if it has room.

    `nth_newest_at`: for a budget of N, when the Nth newest was spent; None if fewer were spent. Even if the clock was
    set back, the wait is never longer than `window` seconds.
    """
    if nth_newest_at is None:
        return 0.0
    return min(max(nth_newest_at + window - now, 0.0), window)
