"""Classical denoisers, told the noise level: thresholding in orthogonal bases of wavelets and bandlets."""
