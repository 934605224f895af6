"""The kit's fixtures, for the tests below this directory."""

from ..kit.plugin import home, start

__all__ = ["home", "start"]
