"""Optimisers, one a module, found by name: ``build(network, rate, images)``."""
