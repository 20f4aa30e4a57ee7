"""Exact denoisers: conditional means under known image distributions, in closed form or by quadrature."""
