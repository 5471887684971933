"""Everything that decides: values in, values out. No clock, no socket, no chance."""
