"""What a repeated refused call is told: how long to wait, in ever clearer words (QUI6)."""

LONGEST_RETRY_SECONDS = 300

TOLD_AT, TOLD_IN_ALL_AT = 10, 30
"""An agent's owner is told once a call was refused so many times, or so many calls were, within the window."""

STOPS_AT = 5
"""From this many times on, the words say to stop."""


def retry_seconds(times: int) -> int:
    """After how many seconds to repeat a call that was refused so many times: 1, 2, 4 and so on, up to five minutes."""
    doublings = min(max(times - 2, 0), 30)
    return min(1 << doublings, LONGEST_RETRY_SECONDS)


def say_repeated(code: str, why: str, fix: str, times: int, wait: int) -> tuple[str, str]:
    """The reason and the fix of a call that was refused `times` times, with what is different about this time."""
    if code == "rate_limited":
        return why, f"Do something else, and call again in {wait} s at the earliest."
    said = f"{why} The same call was refused {times} times for this reason."
    if times < STOPS_AT:
        return said, f"{fix} Do not repeat this call unchanged within {wait} s."
    return said, f"Stop repeating this call: it will be refused again. {fix} Or ask your owner. Wait {wait} s at least."
