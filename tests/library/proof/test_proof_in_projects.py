"""The proof as a person meets it: while `db migrate` writes a migration."""

NOTE = "id: Mapped[int] = mapped_column(primary_key=True)\nbody: Mapped[str] = mapped_column(sa.Text)\n"


def test_a_new_migration_is_proved_on_every_database(any_database):
    any_database.model("note", NOTE)
    any_database.db("migrate").assert_ok()
    any_database.model("note", NOTE + "title: Mapped[str | None] = mapped_column(sa.String(50))")
    answer = any_database.db("migrate").assert_ok()
    assert "proved on 6 rows in 1 table: up, down and up again (seed 1)" in answer.err
    assert "loses note.title on the way down" in answer.err


def test_a_migration_that_fails_its_proof_is_kept_and_named(blog):
    blog.replace(
        "my_app/models/user.py",
        "    posts:",
        '    code: Mapped[str] = mapped_column(String(9), unique=True, server_default="x")\n    posts:',
    )
    before = set(blog.versions.glob("*.py"))
    answer = blog.db("migrate", "-m", "codes")
    (file,) = set(blog.versions.glob("*.py")) - before
    answer.assert_one_sentence(file.name, "in the step 'upgrade'", "mend upgrade() in it")
    assert not blog.database.exists()


def test_a_revision_that_was_only_begun_is_not_proved(blog):
    answer = blog.db("revision", "-m", "later").assert_ok()
    assert "proved" not in answer.said


def test_a_dropped_column_is_told_before_it_is_lost(blog):
    blog.replace(
        "my_app/models/post.py",
        "    summary: Mapped[str | None] = mapped_column(String(500))\n",
        "",
    )
    answer = blog.db("migrate").assert_ok()
    assert "loses post.summary on the way up" in answer.err
    # the rehearsal has printed nothing of its own
    assert "Traceback" not in answer.said
