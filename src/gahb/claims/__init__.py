"""Claims of the paper and of the talk, each judged by numbers; one a module, found by name."""
