"""A tunnel to look at that needs no remote host."""
