"""Schedules of the learning rate, one a module, found by name: ``decay(share)`` of its value."""
