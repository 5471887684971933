"""The data path: local ports, waiting clients, pipes."""
