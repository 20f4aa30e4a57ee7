"""Architectures, one a module, found by name."""
