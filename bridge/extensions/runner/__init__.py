"""What runs in the process of an extension in Python."""
