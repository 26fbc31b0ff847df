"""From a configuration to running stages: the plan, and what carries it out."""
