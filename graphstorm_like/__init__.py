"""graphstorm-like: language models and graph neural networks, trained together on text-rich graphs."""

__version__ = "0.1.0"
