"""Real harness binaries in a real room, each thinking with a scripted model on 127.0.0.1."""
