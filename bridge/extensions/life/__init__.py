"""Which extensions there are, and each from its first request to its end."""
