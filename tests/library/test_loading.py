"""Importing what is large, and looking for garbage."""

import gc

import pytest

from flask_keel import loading


@pytest.mark.parametrize("collects", [True, False])
def test_once_modules_are_loaded_garbage_is_looked_for_as_before(collects):
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(ImportError), loading.quietly():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()


def test_where_all_is_loaded_nothing_more_stays():
    before = gc.get_freeze_count()
    with loading.quietly():
        import pytest  # noqa: F401
    assert gc.get_freeze_count() <= before


def test_while_much_is_made_garbage_is_looked_for_rarely_and_then_as_before():
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), loading.rarely():
        assert gc.get_threshold()[0] >= 100 * before[0]
        raise ZeroDivisionError
    assert gc.get_threshold() == before
