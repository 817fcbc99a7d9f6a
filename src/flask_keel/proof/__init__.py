"""The proof: a migration is run up, down and up on a scratch database that has rows in it."""

from ..project import Project
from .verdict import Verdict

__all__ = ["Verdict", "prove"]

SEED = 1


def prove(project: Project, revision: str, *, seed: int = SEED) -> Verdict:
    """Prove one migration; the application's own database is not touched.

    :param revision: the migration's identifier
    :param seed: of the made rows
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    from . import steps

    return steps.take(project, revision, seed)
