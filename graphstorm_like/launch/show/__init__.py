"""What `gsl show` prints: one file a thing that is shown."""
