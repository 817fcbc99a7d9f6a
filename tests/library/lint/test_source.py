"""A finding is silenced in the file, with the reason; what is silenced is still said to who asks."""

from flask_keel.lint import source

from . import linting

DROP = 'with op.batch_alter_table("post") as batch_op:\n    batch_op.drop_column("body"){comment}'


def test_a_comment_with_a_reason_silences_its_rule(tmp_path):
    body = DROP.format(comment="  # lint: drop-column because nobody reads it")
    (finding,) = linting.judge(tmp_path, body)
    assert finding.silenced == "nobody reads it"
    assert not finding.fails(zero_downtime=True)
    assert finding.first == (
        "line 12: drops post.body and its values "
        "[drop-column, loses data; silenced because nobody reads it]"
    )


def test_one_comment_may_name_several_rules():
    assert source.reasons("# lint: drop-column, drop-table because it was a trial\n") == {
        "drop-column": "it was a trial",
        "drop-table": "it was a trial",
    }


def test_a_comment_in_a_string_silences_nothing():
    assert source.reasons('text = "# lint: drop-column because no"\n') == {}


def test_the_reason_for_a_dropped_column_holds_where_a_like_one_is_added(tmp_path):
    body = DROP.format(comment='\n    batch_op.add_column(sa.Column("text", sa.Text()))')
    (finding,) = linting.judge(tmp_path, f"# lint: drop-column because it is another text\n{body}")
    assert (finding.rule, finding.silenced) == ("drop-and-add", "it is another text")


def test_a_comment_without_a_reason_silences_nothing_and_is_noted(tmp_path):
    drop, note = linting.judge(tmp_path, DROP.format(comment="  # lint: drop-column"))
    assert drop.silenced is None
    assert drop.fails(zero_downtime=False)
    assert note.first == (
        "line 12: would silence drop-column, and gives no reason [no-reason, note]"
    )


def test_a_silenced_rule_leaves_the_others_as_they_are(tmp_path):
    body = 'op.drop_table("post")  # lint: drop-column because no column is meant'
    (finding,) = linting.judge(tmp_path, body)
    assert finding.silenced is None
