"""Autogenerate: the models against what the history makes, never against a developer's database."""

from contextlib import ExitStack
from typing import Any

from flask import current_app
from sqlalchemy import Connection

from .. import history, messages, scratch, servers
from ..seam import Seam
from . import (
    answers,
    at_head,
    binds,
    casts,
    custom_types,
    directives,
    enums,
    fills,
    renames,
    schemas,
    skeleton,
)
from .compare import wording
from .compare.plugin import OPTIONS

AGREE_HERE = "The rest of the models and the history agree: no file is written."


def compare(seam: Seam) -> None:
    """Run the command's comparison on a scratch database.

    Where there cannot be one, a sentence says so, and the development database itself is used, once
    it is what the schema file says.

    :raises alembic.util.CommandError: for two heads, or when nothing can stand in for a scratch database
    """
    if seam.head_asked == "head":
        history.require_one_head(seam.script)
    message = seam.revision_context.command_args["message"]
    given = answers.read(seam.context.get_x_argument(), message)
    if given.empty and seam.writing:
        skeleton.write(seam)
        return
    if seam.writing and (left_out := binds.left_out(current_app)):
        messages.say(messages.LINE, line=f"{left_out}.")
    enums.load(seam.engine.dialect.name)
    why, checking = None, "at_head" in seam.config.attributes
    with ExitStack() as stack:
        try:
            schemas.require_isolation(seam.engine.url, seam.metadata)
            connection = stack.enter_context(scratch.at_head(seam))
            if checking:  # somebody wants to look, too
                seam.config.attributes["at_head"](connection)
                connection.rollback()
        except servers.NotAllowed as denied:
            connection = stack.enter_context(seam.engine.connect())
            _leave_alone(seam, at_head.require(seam, connection, denied))
            connection.rollback()
            messages.say(messages.NO_SCRATCH, database=seam.database, reason=denied.reason)
            why = denied.reason
        unheld = _say_what_is_unheld(seam) if seam.writing or checking else False
        _configure(seam, connection, given, why, AGREE_HERE if unheld else messages.NO_CHANGES)
        with seam.context.begin_transaction():
            seam.context.run_migrations()


def _configure(
    seam: Seam, connection: Connection, given: answers.Answers, why: str | None, agree: str
) -> None:
    seam.options = {**OPTIONS, **seam.options}
    seam.options |= schemas.comparison(seam.metadata, seam.options)
    own = seam.options.pop("process_revision_directives", None)
    before = (renames.step(given, why), own, fills.step(given), casts.cast, enums.mend)
    seam.configure(
        connection,
        transaction_per_migration=False,
        process_revision_directives=directives.chain(*before, agree=agree) if seam.writing else own,
        render_item=custom_types.render_item(seam.options.pop("render_item", None)),
    )
    wording.install(seam.context.get_context().impl)


def _say_what_is_unheld(seam: Seam) -> bool:
    if seam.engine.dialect.name != "sqlite":
        return False
    from . import unheld
    from .project import Project

    said = unheld.note(Project(current_app, seam.config))
    if said:
        messages.say(messages.LINE, line=said)
        seam.config.attributes["unheld"] = said  # for check, which says the rest
    return said is not None


def _leave_alone(seam: Seam, others: set[str]) -> None:
    """Leave alone the tables of others, which a scratch database would not show."""
    own = seam.options.get("include_object")

    def include_object(item: Any, name: str, kind: str, reflected: bool, compared: Any) -> bool:
        if kind == "table" and reflected and compared is None and name in others:
            return False
        return own is None or own(item, name, kind, reflected, compared)

    seam.options["include_object"] = include_object
