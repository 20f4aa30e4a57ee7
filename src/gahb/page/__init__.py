"""The page to look at: bases, samples, curves and claims in one HTML file that needs nothing else."""
