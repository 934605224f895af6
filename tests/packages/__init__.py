"""Package files, as the front end gets them (docs/packages.md)."""
