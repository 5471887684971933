"""Who may send how much, and when: what decides on the data path."""
