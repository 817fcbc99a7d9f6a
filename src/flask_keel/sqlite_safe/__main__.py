"""``python -m flask_keel.sqlite_safe FILES...``, where there is no application."""

from . import sqlite_safe_command

sqlite_safe_command(prog_name="python -m flask_keel.sqlite_safe")
