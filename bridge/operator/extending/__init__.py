"""The parts of `spanbridge extension`."""
