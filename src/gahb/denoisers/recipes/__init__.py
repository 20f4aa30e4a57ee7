"""Named recipes of training in full, one a module, found by name: ``TRAINING``."""
