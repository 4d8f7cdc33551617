"""The gate: what a harness runs before it uses a tool of its own."""
