"""Bytes and messages: frames, control messages, problem codes. No I/O and no event loop."""
