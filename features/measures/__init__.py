"""From rows to readings: what a measure asks of the tables, and what it makes of the numbers.

Two steps, and only two. *Quantities* (:mod:`~features.measures.quantities`, ``contacts``, ``contracts``; written
with ``rows``) are plain numbers per account and date (a count in a window, the last time of use, licences in
force), compiled once to Ibis and fetched together. *Kinds* (:mod:`~features.measures.kinds`; ``conditions`` of
codes; on what is ``known``) turn quantities into a reading or the reason why there is none, in NumPy, the same on
every engine. A new measure kind is a class in the catalogue's schema, a function in ``kinds`` and, if it asks
something new of the tables, a quantity.
"""
