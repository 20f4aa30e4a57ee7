"""gahb: when, and why, do denoisers stop memorising and generalise?

The public interface, listed in ``__init__.pyi``. Names are loaded when first used, so that
``import gahb`` costs nothing and the workflow can read parameters without loading torch.

>>> from gahb import eigenbasis
>>> eigenvalues, eigenvectors = eigenbasis(my_denoiser, noisy_image, k=20)  # doctest: +SKIP
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
