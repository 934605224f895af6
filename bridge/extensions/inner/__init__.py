"""What a process of an extension and the host tell one another, and how."""
