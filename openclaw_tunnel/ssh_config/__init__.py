"""``ssh -G``: asked, read, and what of its answer cannot be honoured."""
