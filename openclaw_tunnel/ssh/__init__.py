"""The SSH edge: the only folder that imports asyncssh."""
