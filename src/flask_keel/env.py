"""What a project's ``migrations/env.py`` calls: every way in passes through here.

make, `db`, `flask db`, bin/manage.py and Alembic's own functions run env.py, so each gets the same care.
"""


def run() -> None:
    """Run the command for which Alembic loaded env.py, on the current Flask application.

    :raises CommandError: in one sentence, when it cannot be run
    """
    from alembic import context
    from flask import current_app

    from .project import Environment

    project = Environment.of_context(context, current_app)
    if context.is_offline_mode():  # --sql
        from .upgrade import sqlite_script

        sqlite_script.print_sql(project)
    elif project.comparing:  # migrate, revision --autogenerate, check
        from .autogenerate import run as autogenerate_run

        autogenerate_run.compare(project)
    else:  # upgrade, downgrade, stamp, current
        from .upgrade import session

        session.migrate(project)
