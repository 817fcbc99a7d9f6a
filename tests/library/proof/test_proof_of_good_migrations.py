"""No false alarm: migrations that are right pass their proof."""

import pytest

from .good import BY_HAND, GENERATED, ON_SQLITE
from .migrations import History, metadata
from .other_hands import CASES

GOOD = [*GENERATED, *BY_HAND, *ON_SQLITE]


def prove(case, folder, url="sqlite:///app.db"):
    _, before, after, hand = case
    before, after = metadata(*before), metadata(*after)
    history = History(folder, url)
    if before.tables:
        history.generate(metadata(), before)
    else:
        history.write("pass")
    if hand is None:
        history.generate(before, after)
    else:
        history.write(**hand)
    return history.prove(after)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case[0])
def test_a_right_migration_passes(case, tmp_path):
    verdict = prove(case, tmp_path)
    assert verdict.ok, verdict.sentence


@pytest.mark.parametrize("case", CASES["sqlite"], ids=lambda case: case[0])
def test_made_rows_do_not_stand_in_the_way_of_a_right_migration(case, tmp_path):
    verdict = prove(case, tmp_path)
    assert verdict.ok, verdict.sentence
    assert sum(verdict.rows.values()) > 5
