"""Uniforms of a batch's noise levels, one law a module, found by name: ``draw(count, draws)``."""
