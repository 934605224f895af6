"""The internal bus, and the small payloads that live beside it: `info`, `session-control`."""
