"""Turns the plain operations of a migration file into batches; see ``revise/sqlite_safe.py``."""
