"""The one door to the proof: whether a migration runs up, down and up again on rows."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Proved:
    """What the proof found, in words.

    :param sentence: without a full stop
    :param lines: the sentence, and what is worth knowing
    :param changes: those of the lines that say which values the upgrade rewrites
    :param lasting: whether a second proof of the same thing would say the same
    """

    ok: bool
    sentence: str
    lines: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    lasting: bool = True


def prove(app: Any, config: Any, revision: str) -> Proved:
    """Prove one migration on a scratch database.

    :param app: the Flask application
    :param config: Alembic's
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    from .proof import prove as prove_subject
    from .proof.subject import Subject

    verdict = prove_subject(Subject.of(app, config), revision)
    return Proved(
        verdict.ok, verdict.sentence, verdict.lines, verdict.changes, lasting=verdict.lasting
    )
