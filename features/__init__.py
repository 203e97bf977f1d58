"""Raw tables to readings to vectors: what we know about an account on a date."""
