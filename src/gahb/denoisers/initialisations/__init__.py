"""How networks start, one way a module, found by name: ``convolution(module, generator)``, ``gain(...)``."""
