"""The post-generation script: edits a migration file so that it is safe on SQLite."""
