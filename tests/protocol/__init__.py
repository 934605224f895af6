"""Frames and control messages, against references that are slow and obvious."""
