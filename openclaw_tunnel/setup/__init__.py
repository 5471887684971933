"""The application behind ``setup``: from nothing to a running tunnel."""
