"""Weights of noise levels in the loss, one a module, found by name: ``weight(sigma, share)``."""
