"""The demo: its parts, and the command as a user runs it."""
