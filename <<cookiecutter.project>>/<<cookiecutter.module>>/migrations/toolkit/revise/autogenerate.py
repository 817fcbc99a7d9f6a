"""Autogenerate: the models against what the history makes, never against a developer's database."""

from contextlib import ExitStack

from .. import drift, history, messages, scratch, servers
from ..seam import Seam
from . import answers, casts, custom_types, directives, enums, fills, renames, skeleton


def compare(seam: Seam) -> None:
    """Run the command's comparison on a scratch database.

    Where the account may not create one, a sentence says so, and the database itself is used, after
    a check that nobody changed it by hand.

    :raises alembic.util.CommandError: for two heads, or a database that drifted
    """
    if seam.head_asked == "head":
        history.require_one_head(seam.script)
    message = seam.revision_context.command_args["message"]
    given = answers.read(seam.context.get_x_argument(), message)
    if given.empty and seam.writing:
        skeleton.write(seam)
        return
    enums.load(seam.engine.dialect.name)
    grant = None
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(scratch.at_head(seam))
        except servers.NotAllowed as denied:
            messages.say(messages.NO_SCRATCH, database=seam.database, grant=denied.grant)
            connection = stack.enter_context(seam.engine.connect())
            grant = denied.grant
            drift.require_none(seam, connection, grant)
            connection.rollback()
        own = seam.options.pop("process_revision_directives", None)
        seam.configure(
            connection,
            transaction_per_migration=False,
            process_revision_directives=directives.chain(
                renames.step(given, grant), own, fills.step(given), casts.cast, enums.mend
            )
            if seam.writing
            else own,
            render_item=custom_types.render_item(seam.options.pop("render_item", None)),
        )
        with seam.context.begin_transaction():
            seam.context.run_migrations()
