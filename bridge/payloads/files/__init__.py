"""Files as channels: `fsread1`, `fsreplace1`, `fsinfo`, `fswatch1`, `fslist1` (docs/files.md).

What touches a file runs in threads (served/jobs.py): the event loop never waits for one. Paths are bytes from the open
on, so that a name is the same name whatever the locale says.
"""
