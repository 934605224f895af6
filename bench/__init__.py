"""The benchmark: spanbridge beside the C cockpit-bridge and a relay that knows no protocol."""
