"""How networks start, one way a module, found by name: ``convolution(layer, generator)``, ``gain(...)``."""
