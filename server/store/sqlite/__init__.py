"""The SQLite engine: one writer thread with group commit, and readers of their own."""
