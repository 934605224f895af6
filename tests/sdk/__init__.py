"""Tests of the helper SDK: its parts on a wire in memory, whole helpers as processes, and behind a real bridge."""
