"""The steps: rows, up, models, rows, down, schema, rows, up again; and what hostile rows would meet."""

import warnings

from . import down, prepare, up
from .scene import Scene
from .stage import stage
from .subject import Subject
from .verdict import Failed, Verdict, passing


def take(subject: Subject, revision: str, seed: int) -> Verdict:
    """Take the steps until one fails."""
    with warnings.catch_warnings(), stage(subject) as scratch:
        warnings.simplefilter("ignore")  # each was shown when the real command ran
        scene = Scene(subject, revision, seed, scratch)
        try:
            _take(scene)
        except Failed as failed:
            verdict = scene.verdict
            verdict.ok, verdict.step = False, failed.step
            verdict.difference, verdict.agree = failed.difference, failed.agree
            verdict.lasting = not passing(failed.__cause__)
    return scene.verdict


def _take(scene: Scene) -> None:
    prepare.build(scene)
    rehearsed = prepare.rehearse(scene)
    prepare.fill(scene, rehearsed)
    prepare.meet_hostile_rows(scene)
    up.upgrade(scene)
    up.compare_models(scene)
    up.compare_rows(scene)
    if scene.source.irreversible or scene.source.raises:
        up.stay(scene)
        return
    journal = down.downgrade(scene)
    below = down.compare_schema(scene)
    down.compare_rows(scene, below, journal)
    up.upgrade_again(scene)
