"""Speed, measured as a ratio against the floor in one run."""
