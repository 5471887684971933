"""``doctor``: every layer between here and the gateway, checked in order."""
