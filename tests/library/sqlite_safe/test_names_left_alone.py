"""What the script cannot turn into a batch is left as it is, and named with its line."""

import pytest

from flask_keel.sqlite_safe import NotUnderstood, make_safe

from .migrating import HEAD, body, migration


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (
            "op.drop_constraint('uq', 't', if_exists=True)",
            "takes if_exists, which a batch does not",
        ),
        ("op.create_primary_key('pk', 't', ['a'], mssql_clustered=True)", "takes mssql_clustered"),
        ("op.drop_column(*where)", "is given arguments that cannot be read"),
        ("op.drop_column('t', 'a', **more)", "is given arguments that cannot be read"),
        ("op.drop_column('a')", "is not given its column_name"),
        ("op.create_unique_constraint('uq', ['a'])", "is not given its columns"),
        ("gone = op.drop_column('t', 'a')", "is part of a larger expression"),
        ("[op.drop_column('t', c) for c in 'ab']", "is part of a larger expression"),
        ("op.create_exclude_constraint('x', 't', ('a', '='))", "is PostgreSQL's alone"),
    ],
)
def test_a_call_without_a_batch_form_is_left_alone_and_named(call, why):
    source = migration(f"op.add_column('t', sa.Column('q', sa.Text()))\n{call}")
    result = make_safe(source)
    assert result.source == source
    (note,) = result.notes
    line = HEAD.count("\n") + 4
    assert note.startswith(f"line {line}: op.")
    assert why in note


def test_a_call_that_is_left_alone_parts_the_batches_beside_it():
    source = migration(
        "op.drop_column('t', 'a')\nop.drop_constraint('uq', 't', if_exists=True)\n"
        "op.drop_column('t', 'b')"
    )
    assert body(make_safe(source).source).count("batch_alter_table") == 2


def test_operations_handed_in_as_a_parameter_are_left_alone():
    source = HEAD + "\ndef upgrade(op):\n    op.drop_column('t', 'a')\n"
    assert make_safe(source).source == source


def test_operations_that_were_imported_singly_are_named():
    source = "from alembic.op import drop_column\n\n\ndef upgrade():\n    drop_column('t', 'a')\n"
    result = make_safe(source)
    assert result.source == source
    assert result.notes == [
        "line 1: import op itself, not its functions; their calls were left as they are"
    ]


def test_another_op_is_none_of_our_business():
    source = "from somewhere import op\n\n\ndef upgrade():\n    op.drop_column('t', 'a')\n"
    assert make_safe(source).source == source
    assert make_safe(source).notes == []


def test_operations_in_strings_and_comments_are_left_alone():
    source = migration("# op.drop_column('t', 'a')\nx = \"op.drop_column('t', 'a')\"")
    assert make_safe(source).source == source


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\ndef upgrade(:\n    pass\n", "line 2: "),
        ("from alembic import op\nprint 'python 2'\n", "line 2: "),
        ("x = 1\0\n", "null bytes"),
        ("if True:\n\tx = 1\n        y = 2\n", "line 3: "),
    ],
)
def test_what_is_not_python_is_not_understood(source, reason):
    with pytest.raises(NotUnderstood, match=reason):
        make_safe(source)
