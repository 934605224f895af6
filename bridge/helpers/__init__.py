"""Helpers: child processes that speak the protocol, from spawn to reap, and who gets which."""
