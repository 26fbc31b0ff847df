"""Texts of nodes: tokenised once, batched without padding waste, encoded by any Hugging Face model, cached.

column.py    a text column read once: its hash, and which texts are equal
tokens.py    token store on disk, one entry a distinct text
batching.py  token-budget batches and TextBatch, the unit an encoder takes
pooling.py   token vectors -> text vector; pooling_files.py: how a model folder says which way is its own
folders.py   model name -> local folder
encoder.py   TextEncoder: any Hugging Face model with its pooling
embed.py     vectors of texts, by a sweep that survives being killed
cache.py     the folder of those vectors
check.py     problems of an encoder that can be found before it is loaded
"""
