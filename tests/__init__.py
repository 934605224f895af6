"""Tests; the kit that they share is bridge/testing."""
