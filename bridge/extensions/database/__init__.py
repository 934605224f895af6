"""The database of an extension, held by the host: what it may do there, and doing it."""
