"""Diffusion: the forward process, samplers, and what two networks make of the same noise."""
