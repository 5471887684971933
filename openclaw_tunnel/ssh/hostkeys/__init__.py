"""Whether a server's key is the right one."""
