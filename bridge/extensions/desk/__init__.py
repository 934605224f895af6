"""The thread that serves what an extension calls the host for."""
