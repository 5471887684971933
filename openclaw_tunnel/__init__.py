"""Keep SSH tunnels to an OpenClaw Gateway open, and say why when they are not."""

__version__ = "0.1.0"
