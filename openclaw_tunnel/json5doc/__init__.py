"""A JSON5 document: read, checked with file, line and key, and edited in place."""
