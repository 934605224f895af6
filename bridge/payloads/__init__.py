"""Payloads that the bridge serves itself, one file each (docs/protocol.md, "Internal payloads")."""
