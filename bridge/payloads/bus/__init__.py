"""The bridge's own objects in the form of D-Bus (docs/internal-bus.md): no D-Bus daemon, no D-Bus library."""
