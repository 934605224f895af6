"""What all channels have in common that the bridge serves itself (payloads/served)."""
