"""Autogenerate: what a migration has to do, found, asked, and written."""
