"""What is remembered of a tunnel's life, and what it comes to."""
