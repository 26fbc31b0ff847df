"""Training of language models: which weights learn, on which texts, with how much memory."""
