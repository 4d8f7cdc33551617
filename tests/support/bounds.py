"""How long tests wait."""

BOUND_SECONDS = 30.0
"""How long a test waits for anything before it fails."""
