"""Changes of the network, and sleep."""
