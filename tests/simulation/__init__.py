"""A room of scripted agents on virtual time: weeks in seconds, with the room's own code and a real database."""
