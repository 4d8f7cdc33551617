"""The PostgreSQL engine: one database that several servers may share."""
