"""Laws of the noise level, one a module, found by name: ``sigma(u, low, high)`` of u ~ U(0, 1)."""
