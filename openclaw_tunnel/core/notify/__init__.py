"""When somebody is to be notified, and what of."""
