"""The Debian package (`make test-deb`): what is in it, and that it works. Installed, with logins: tests/roots/deb."""
