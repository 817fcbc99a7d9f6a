"""The proof: a migration is run up, down and up on a scratch database that has rows in it."""

from typing import Any

from .verdict import Verdict

__all__ = ["Verdict", "prove", "prove_hook", "register"]

SEED = 1
NOT_PROVED = "  not proved: {reason}"


def prove(subject: Any, revision: str, *, seed: int = SEED) -> Verdict:
    """Prove one migration; the application's own database is not touched.

    :param subject: the application, as :class:`.subject.Subject` sees it
    :param revision: the migration's identifier
    :param seed: of the made rows
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    from . import steps

    return steps.take(subject, revision, seed)


def prove_hook(path: str, options: dict[str, str]) -> None:
    """Prove the migration that was just written: Alembic's post-write hook.

    Not for a revision that was only begun (`db revision`) or that only joins two heads.

    :raises alembic.util.CommandError: naming the step and the difference; the file stays
    """
    import click
    from alembic.util import CommandError
    from flask import current_app

    from ... import messages, servers
    from ...history import FOLDER
    from .subject import Subject

    command = click.get_current_context(silent=True)
    begun = command is not None and command.info_name in ("revision", "merge")
    if begun and not command.params.get("autogenerate"):
        return
    config = current_app.extensions["migrate"].migrate.get_config(str(FOLDER))
    subject = Subject.of(current_app, config)
    try:
        verdict = prove(subject, subject.revision_of(path))
    except servers.NotAllowed as denied:
        messages.say(NOT_PROVED, reason=denied.reason)
        return
    if not verdict.ok:
        raise CommandError(f"{verdict.sentence}.")
    for line in verdict.lines:
        messages.say("  {line}", line=line)


def register() -> None:
    """Make the hook known to Alembic as "proof"."""
    from alembic.script import write_hooks

    write_hooks.register("proof")(prove_hook)
