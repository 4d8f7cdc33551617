"""Members written with other client libraries, each in an environment of its own."""
