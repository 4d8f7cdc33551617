"""Budgets: a number of things in a sliding span of time, and when the next one is allowed."""


def seconds_until_free(nth_newest_at: float | None, window: float, now: float) -> float:
    """How long until a budget has room again; 0 while it has.

    `nth_newest_at` is when the oldest of the newest N was spent, for a budget of N; None while fewer were. A clock
    that was set back makes nobody wait longer than the window.
    """
    if nth_newest_at is None:
        return 0.0
    return min(max(nth_newest_at + window - now, 0.0), window)
