"""Who holds a local port."""
