"""The studio: a page on this machine where energies are dragged, added and negated. `server.serve` starts it.

What people do there is a table (`table.py`): `change.py`, `landscape.py`, `concepts.py`, `decompose.py`, `runs.py`, one
file each. A table turns a state, which is all that its part of the address holds, into events for the page and a result
for downloads; the same state written as Python or as a command gives the same picture. Needs the extra `studio`.
"""
