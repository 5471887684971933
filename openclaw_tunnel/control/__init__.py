"""Daemon and command line talk over one Unix socket."""
