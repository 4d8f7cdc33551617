"""What the statements return: one file of row types for each file of statements in `store/sql`."""
