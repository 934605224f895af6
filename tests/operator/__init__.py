"""The tools for people: `spanbridge check`, `explain`, `list` and so on."""
