"""The time of day, as it is shown and recorded."""

from datetime import UTC, datetime


def utc_now() -> str:
    """The time as RFC 3339 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
