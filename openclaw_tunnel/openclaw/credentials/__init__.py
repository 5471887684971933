"""Which credential the gateway gets, and where it is read."""
