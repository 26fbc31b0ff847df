"""Language models that learn: which weights, on which texts, with how much memory."""
