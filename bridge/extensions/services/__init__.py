"""The host's side of what extensions find in `services`, a file each."""
