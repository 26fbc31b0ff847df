"""The `gsl` command: verbs only, one module each."""
