"""The names that a generated project gives to CHECKs that have none."""

import clients

LONG = "CASE WHEN length(name) > 0 THEN 1 ELSE 0 END + {} > 0"


def test_checks_that_begin_alike_get_names_of_their_own_and_short_ones_keep_theirs(any_database):
    project = any_database
    checks = [LONG.format(1), LONG.format(2), "length(name) < 90", "length(name) <> 90"]
    said = ", ".join(f'sa.CheckConstraint("{sql}")' for sql in checks)
    project.model(
        "item",
        f"__table_args__ = ({said},)\n"
        "id: Mapped[int] = mapped_column(primary_key=True)\n"
        "name: Mapped[str] = mapped_column(sa.String(100))\n",
    )
    written = project.new_migration().read_text()
    assert 'name=op.f("ck_item_length_name_90")' in written.replace("'", '"')
    assert written.count("CheckConstraint(") == 4
    assert "nothing to migrate" in project.db("migrate").assert_ok().err
    project.db("upgrade").assert_ok()
    url = project.env.get("DEV_DATABASE_URL", f"sqlite:///{project.database}")
    assert str(clients.dump(url)).count("ck_item_") == 4


def test_a_model_that_makes_no_table_ends_each_command_in_one_sentence(new_project):
    project = new_project(starter="bare")
    item = "id: Mapped[int] = mapped_column(primary_key=True)\n"
    project.model("item", item)
    project.new_migration()
    files = set(project.versions.iterdir())
    project.model(
        "item",
        item + "place: Mapped[str] = mapped_column(INET)\n",
        "from sqlalchemy.dialects.postgresql import INET",
    )
    for command in (("migrate",), ("check",), ("rebuild",)):
        project.db(*command).assert_one_sentence(
            "The model of item", "place: SQLite has no type INET"
        )
    assert set(project.versions.iterdir()) == files
