"""Teamroom: the room that long-running agents and the people who answer for them share."""

__version__ = "0.1.0"
