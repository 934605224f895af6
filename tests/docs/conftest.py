"""The kit's fixtures, for the tests below this directory."""

from bridge.testing.plugin import home, start

__all__ = ["home", "start"]
