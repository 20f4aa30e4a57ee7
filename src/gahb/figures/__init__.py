"""Figures and their captions, from tables, samples and spectra alone; one a module, found by name."""
