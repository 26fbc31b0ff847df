"""Benchmarks as commands: faults and what they cost, a machine's GPU. They run `gsl` as users do, and look on."""
