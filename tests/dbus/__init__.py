"""`dbus-json3` on real buses (docs/dbus.md)."""
