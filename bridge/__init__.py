"""The daemon: streams, helpers, routing, internal payloads, and the command line."""
