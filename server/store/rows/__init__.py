"""The row types that statements return: one file for each file of statements in `store/sql`."""
