"""Recordings of frames, made by `spanbridge tap` and played by `spanbridge replay`; `recording` is a line of one."""
