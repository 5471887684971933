"""Speaks to the OpenClaw Gateway."""
