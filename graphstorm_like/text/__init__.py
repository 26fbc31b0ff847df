"""Texts of nodes: tokenised once, batched without padding waste, encoded by any Hugging Face model, cached.

tokens.py    ragged token store on disk, one entry a distinct text
batching.py  token-budget batches and TextBatch, the unit an encoder takes
pooling.py   token vectors -> text vector, and how a model folder says which way is its own
folders.py   model name -> local folder
encoder.py   TextEncoder: any Hugging Face model with its pooling
cache.py     vectors of all texts on disk, filled by a sweep that survives being killed
"""
