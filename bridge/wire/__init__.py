"""Framed streams over descriptors: reading, writing, turns, and the loop's selector."""
