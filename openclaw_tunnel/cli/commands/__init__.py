"""The commands: each file parses, calls and prints."""
