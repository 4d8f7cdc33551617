"""Campaigns: long searches for what must not happen. `python -m tests.campaigns.NAME NUMBER`."""
