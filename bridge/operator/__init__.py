"""Tools for people: each module is one, imported only when it is asked for (bridge/cli.py, TOOLS)."""
