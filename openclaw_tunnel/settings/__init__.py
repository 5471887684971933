"""The tunnels' own settings: ``tunnels.json5``, the options of ``up``, and what they come to."""
