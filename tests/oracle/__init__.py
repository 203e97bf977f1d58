"""The slow oracle: the catalogue's sentences in plain Python, one account and one date at a time.

It shares nothing with the engine but the definitions (``features.catalogue``) and the written contract of the
tables (``features/sources/contract.toml``). It is written to be read beside the catalogue, not to be fast.
"""
