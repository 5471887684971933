"""All tunnels of one user in one process."""
