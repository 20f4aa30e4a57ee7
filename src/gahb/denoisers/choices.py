"""Packages whose modules a training chooses by name."""

NOISE_LAWS = "gahb.denoisers.noise_laws"
WEIGHTINGS = "gahb.denoisers.weightings"
SCHEDULES = "gahb.denoisers.schedules"
OPTIMISERS = "gahb.denoisers.optimisers"
NOISE_DRAWS = "gahb.denoisers.noise_draws"
INITIALISATIONS = "gahb.denoisers.initialisations"
RECIPES = "gahb.denoisers.recipes"
