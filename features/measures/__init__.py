"""From rows to readings: what a measure asks of the tables, and what it makes of the numbers.

Three steps. The engine gives *rows* of the accounts asked about (``fetching``, ``rows``); many are put together
that are alike (``condensed``). *Quantities* (``quantities``, ``contacts``, ``contracts``, ``service``) make plain
numbers of them, per account and date. *Kinds* (``kinds``; ``conditions`` of codes; on what is ``known``) turn the
numbers into a reading, or the reason why there is none. The last two are NumPy, the same for a company and for one
account, on every engine.
"""
