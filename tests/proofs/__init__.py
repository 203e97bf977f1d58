"""Proofs that take minutes: what is claimed of the training, measured on tables that others made."""
