"""What runs on the event loop, and beside it."""
