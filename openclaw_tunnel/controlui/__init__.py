"""The gateway's Control UI in a browser."""
