"""What lets Snakemake and DVC share one tree: travelling records, and one run at a time."""
