"""This computer: files, ports, logs."""
