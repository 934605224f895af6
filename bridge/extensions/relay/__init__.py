"""From a session, or the command line, to the host."""
