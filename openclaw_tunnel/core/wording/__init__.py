"""Wordings that several parts show."""
