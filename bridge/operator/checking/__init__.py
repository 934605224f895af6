"""What `spanbridge check` looks for: `finding` is one, `targets` what is looked at, the others kinds of mistake."""
