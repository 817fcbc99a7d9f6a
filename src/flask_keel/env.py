"""What a project's ``migrations/env.py`` calls: every way in passes through here.

make, `db`, `flask db`, bin/manage.py and Alembic's own functions run env.py, so each gets the same care.
"""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from alembic.runtime.environment import EnvironmentContext

from . import loading
from .typing import Value


def run(**options: Value) -> None:
    """Run the command for which Alembic loaded env.py, on the current Flask application.

    :param options: for Alembic's ``configure``, as :class:`flask_keel.Keel` takes them: for functions
        that live in env.py; they win over the application's
    :raises CommandError: in one sentence, when it cannot be run
    """
    from alembic import context
    from flask import current_app

    from . import compat  # noqa: F401  (mends older versions of Alembic)
    from .project import NO_APPLICATION, Environment, declaring, require_application

    if declaring(options):  # a command wants to know them, and nothing more
        return
    if getattr(context, "_proxy", None) is None:  # python env.py
        raise SystemExit(f"Error: {NO_APPLICATION}")
    require_application()
    # the module stands for one: https://alembic.sqlalchemy.org/en/latest/api/runtime.html
    project = Environment.of_context(cast("EnvironmentContext", context), current_app, options)
    if context.is_offline_mode():  # --sql
        from .upgrade import sql_script

        sql_script.print_sql(project)
    elif project.comparing:  # migrate, revision --autogenerate, check
        from .autogenerate import run as autogenerate_run

        autogenerate_run.compare(project)
    else:  # upgrade, downgrade, stamp, current
        with loading.quietly():
            from . import upgrade

        upgrade.migrate(project)
