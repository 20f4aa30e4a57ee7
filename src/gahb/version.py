"""The version of the package, which every artifact records."""

__version__ = "0.2.0"
