"""Other tools and ours before the same twenty faults."""
