"""OpenClaw's own settings: ``openclaw.json``, and what it refers to."""
