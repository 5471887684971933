"""What commands and applications have in common to do: open a tunnel, trust a key, install a service."""
