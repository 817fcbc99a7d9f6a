"""The SQLite engine against its peers: what is measured, with what, and on which table."""
