"""One front end: its session, the table of its channels, and who serves an open."""
