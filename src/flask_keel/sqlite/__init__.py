"""SQLite: every Alembic operation, nothing lost, at SQLite's own speed."""
