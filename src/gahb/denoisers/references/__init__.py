"""Reference denoisers, one a module, found by name: exact, classical, and those that memorise."""
