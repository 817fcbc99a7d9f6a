"""Migrations that are wrong fail their proof, with the step and the difference named."""

import pytest

from .broken import BROKEN
from .migrations import History, metadata


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case[0])
def test_a_wrong_migration_fails(case, tmp_path):
    _, before, after, hand, step, words = case
    before, after = metadata(*before), metadata(*after)
    history = History(tmp_path)
    history.generate(metadata(), before)
    first = hand.pop("first", None) if hand["upgrade"] else None
    if first:
        history.write(first)
    if hand["upgrade"] is None:
        history.generate(before, after)
    else:
        history.write(**hand)
    verdict = history.prove(after)
    assert not verdict.ok
    assert verdict.step == step, verdict.sentence
    for word in words:
        assert word in verdict.difference
