"""What the script believes of Alembic's operations is what the installed Alembic says."""

import inspect

import pytest
from alembic.operations import BatchOperations, Operations

from flask_keel.sqlite_safe.scan import BATCH, CLOSED, PLAIN


def parameters(owner, method):
    """The parameters that go by position, those that go by keyword, and whether any keyword may."""
    found = list(inspect.signature(getattr(owner, method)).parameters.values())[1:]
    positional = tuple(p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD)
    keywords = {p.name for p in found if p.kind is p.KEYWORD_ONLY}
    return positional, keywords, any(p.kind is p.VAR_KEYWORD for p in found)


@pytest.mark.parametrize("method", PLAIN)
def test_a_plain_operation_takes_what_alembic_says(method):
    assert parameters(Operations, method)[0] == PLAIN[method]


@pytest.mark.parametrize("method", BATCH)
def test_an_operation_of_a_batch_takes_what_alembic_says(method):
    positional, keywords, any_keyword = parameters(BatchOperations, method)
    assert positional == BATCH[method]
    assert any_keyword == (method not in CLOSED)
    assert any_keyword or keywords == CLOSED[method]


@pytest.mark.parametrize("method", PLAIN)
def test_no_other_keyword_is_lost_on_the_way_into_a_batch(method):
    _, plain, _ = parameters(Operations, method)
    _, batch, any_keyword = parameters(BatchOperations, method)
    lost = plain - batch - {"schema", "source_schema"}
    assert any_keyword or lost <= {"if_exists"}
