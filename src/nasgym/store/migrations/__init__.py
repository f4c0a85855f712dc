"""Migrations of the schema, oldest first in `versions`.

A released migration is never edited. A new one is a file `v0002_what_it_does.py` with `revision = "0002"` and
`down_revision = "0001"`; with it go `VERSION` and the tables in `nasgym.store.schema`, and in the tests a golden
database written by the version before it.
"""
