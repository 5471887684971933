"""One question to a gateway, over the running tunnel or a connection of its own: ``health``, ``probe`` and ``call``."""
