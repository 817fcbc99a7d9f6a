"""Autogenerate sees what the database has: the models' tables are made, and the database is asked of both.

A comparison of texts guesses at what a database writes for ``'a'``, ``now()`` or ``x IN (1, 2)``. So each
table of the models is made a second time where nobody sees it (its *twin*), and what the database says of
the twin is held against what it says of the table.
"""
