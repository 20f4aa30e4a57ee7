"""Figures and their captions, from tables and spectra files alone: never from a network."""

from gahb.figures.registry import FIGURES, FigureMaker, make_figure

__all__ = ["FIGURES", "FigureMaker", "make_figure"]
