"""The checks of ``doctor``: each returns what was found, and what to do."""
