"""Tests of the pytest plugin, as somebody uses it who has installed spanbridge."""
