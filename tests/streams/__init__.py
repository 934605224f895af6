"""Programs, terminals and sockets as channels: payloads `stream` and `packet` (docs/streams.md)."""
