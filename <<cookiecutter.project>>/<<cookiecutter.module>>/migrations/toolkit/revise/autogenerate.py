"""Autogenerate: the models against what the history makes, never against a developer's database."""

from contextlib import ExitStack

from .. import drift, history, messages, scratch, servers
from ..seam import Seam
from . import directives


def compare(seam: Seam) -> None:
    """Run the command's comparison on a scratch database.

    Where the account may not create one, a sentence says so, and the database itself is used, after
    a check that nobody changed it by hand.

    :raises alembic.util.CommandError: for two heads, or a database that drifted
    """
    if seam.head_asked == "head":
        history.require_one_head(seam.script)
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(scratch.at_head(seam))
        except servers.NotAllowed as denied:
            messages.say(messages.NO_SCRATCH, database=seam.database, grant=denied.grant)
            connection = stack.enter_context(seam.engine.connect())
            drift.require_none(seam, connection, denied.grant)
            connection.rollback()
        own = seam.options.pop("process_revision_directives", None)
        seam.configure(
            connection,
            transaction_per_migration=False,
            process_revision_directives=directives.chain(own) if seam.writing else own,
            render_item=directives.render_item(seam.options.pop("render_item", None)),
        )
        with seam.context.begin_transaction():
            seam.context.run_migrations()
