"""Jacobian spectra of denoisers: eigenvalues, eigenbases, asymmetry, invariance."""
