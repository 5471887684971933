"""Makes ``openclaw tunnel ...`` work."""
