"""One tunnel: the machine's commands carried out, and what became of them fed back."""
