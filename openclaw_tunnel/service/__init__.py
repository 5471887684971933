"""launchd and systemd."""
