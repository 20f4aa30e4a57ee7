"""Image classes, one a module, found by name: see docs/extending.md."""
