"""What `gsl show` prints: one file per subcommand."""
