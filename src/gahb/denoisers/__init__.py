"""Learned and exact denoisers behind one interface: f(y, sigma) on (B, 1, H, W)."""
