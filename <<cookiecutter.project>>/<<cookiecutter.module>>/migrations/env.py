"""The one seam between the application and its migrations.

Every command passes through here: make, `db`, `flask db`, bin/manage.py, Alembic's own functions.
"""

from alembic import context
from flask import current_app

from <<cookiecutter.module>>.migrations.toolkit.seam import Seam

seam = Seam(context, current_app)

if context.is_offline_mode():  # --sql
    from <<cookiecutter.module>>.migrations.toolkit.upgrade import preview

    preview.print_sql(seam)
elif seam.comparing:  # migrate, revision --autogenerate, check
    from <<cookiecutter.module>>.migrations.toolkit.revise import autogenerate

    autogenerate.compare(seam)
else:  # upgrade, downgrade, stamp, current
    from <<cookiecutter.module>>.migrations.toolkit.upgrade import session

    session.migrate(seam)
