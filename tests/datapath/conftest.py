"""The kit's fixtures, for the tests below this directory."""

from bridge.testing.plugin import gate, home, start

__all__ = ["gate", "home", "start"]
