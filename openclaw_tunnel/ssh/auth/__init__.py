"""Logging in: keys, agents, and questions to a person."""
