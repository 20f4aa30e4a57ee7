"""Samplers, one a module, found by name."""
