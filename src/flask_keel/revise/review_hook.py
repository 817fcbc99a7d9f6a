"""Alembic's post-write hook ``review``: judges the migration that was just written."""

from collections.abc import Mapping


def register() -> None:
    """Let Alembic know the post-write hook ``review``.

    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#post-write-hooks
    """
    from alembic.script import write_hooks

    write_hooks.register("review")(post_write)


def post_write(path: str, options: Mapping[str, str]) -> None:
    """The hook: judge the migration that was just written.

    :raises CommandError: when its proof fails; the file stays
    """
    import click
    from flask import current_app

    from .. import colours, messages, report
    from . import review
    from .project import Project

    project = Project(current_app, current_app.extensions["migrate"].migrate.get_config())
    file = project.shown(path)
    messages.say(messages.WRITTEN, file=colours.paint(file, bold=True))
    report.add("file", file)
    context = click.get_current_context(silent=True)
    begun = context is not None and context.info_name in ("revision", "merge")
    if begun and not context.params.get("autogenerate"):
        messages.say(messages.BEGUN, file=file)  # nothing is in it yet that could be judged
        return
    review.judge(project, project.revision_of(path))
    messages.say(messages.NEXT, file=file)
    report.add("next", "make migrate")
