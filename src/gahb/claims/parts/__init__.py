"""What claims have in common: what a claim is, what a run has, what was read of it, and the table."""
