"""Image classes, disjoint splits, and datasets in HDF5."""
