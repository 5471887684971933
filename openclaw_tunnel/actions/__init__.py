"""What commands and applications have in common to do: install a service, ask the service manager."""
