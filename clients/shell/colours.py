"""The colours of states on a terminal, the same in every view."""

STATES = {
    "blocked": ("blocked", "red"),
    "offered": ("offered", "magenta"),
    "in_review": ("in review", "cyan"),
    "claimed": ("claimed", "green"),
    "open": ("open", "yellow"),
    "done": ("done", "dim"),
    "cancelled": ("cancelled", "dim"),
}
"""The states of tasks in the order of urgency, with their words and colours."""

PRESENCE = {
    "live": "green",
    "working": "green",
    "overdue": "yellow",
    "suspect": "yellow",
    "zombie": "red",
    "gone": "red",
    "paused": "magenta",
    "killed": "red",
}
