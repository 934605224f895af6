"""Privileged bridges (docs/superuser.md): with fake ones, through real sudo, and Debian's."""
