"""What a WSGI server serves: gunicorn <<cookiecutter.module>>.wsgi:app"""

import sys

import click

from . import create_app

try:
    app = create_app()
except click.ClickException as error:
    print(f"Error: {error.format_message()}", file=sys.stderr)
    sys.exit(4)  # gunicorn's "the application cannot be loaded": it does not try again
