"""Other hosts, over the user's OpenSSH (docs/hosts.md)."""
