"""The bytes of the channels of one connection: whose turn it is, and how many may be under way."""
