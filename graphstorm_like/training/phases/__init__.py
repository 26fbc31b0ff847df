"""What is trained: the operator of each phase's configuration, all over the one training loop."""
