"""Tests; the kit that they share is tests/kit."""
