"""Checks by programs that others keep: the protocol's conformance suite, and the Inspector."""
