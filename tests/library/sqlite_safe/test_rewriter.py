"""Each operation that SQLite lacks runs on it after the script, and means what it meant."""

import pytest

from .migrating import Database, assert_same_on_postgresql, body, migration, safe, schema_of

USER = "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, email VARCHAR(40));"
POST = "CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT, user_id INTEGER, price INTEGER);"


def test_a_dropped_column_is_dropped_and_comes_back(up_and_down):
    text = up_and_down(
        migration(
            "op.drop_column('user', 'email')",
            "op.add_column('user', sa.Column('email', sa.String(40), nullable=True))",
        ),
        before=USER,
        after="CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT)",
    )
    assert body(text) == (
        "with op.batch_alter_table('user') as batch_op:\n    batch_op.drop_column('email')"
    )
    assert body(text, "downgrade").startswith("op.add_column('user', ")


def test_an_altered_column_is_altered(up_and_down):
    up_and_down(
        migration(
            """
            op.alter_column('user', 'email',
                existing_type=sa.String(40),
                type_=sa.String(80),
                server_default='x',
                nullable=False)
            """,
            """
            op.alter_column('user', 'email', existing_type=sa.String(80), type_=sa.String(40),
                            server_default=None, nullable=True)
            """,
        ),
        before=USER,
        after="""CREATE TABLE user (
            id INTEGER PRIMARY KEY, name TEXT, email VARCHAR(80) DEFAULT 'x' NOT NULL)""",
    )


def test_a_foreign_key_keeps_its_options(up_and_down):
    up_and_down(
        migration(
            """op.create_foreign_key('fk_post_user', 'post', 'user', ['user_id'], ['id'],
                                     ondelete='CASCADE', onupdate='SET NULL')""",
            "op.drop_constraint('fk_post_user', 'post', type_='foreignkey')",
        ),
        before=USER + POST,
        after=USER
        + """CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT, user_id INTEGER, price INTEGER,
            CONSTRAINT fk_post_user FOREIGN KEY(user_id) REFERENCES user (id)
            ON DELETE CASCADE ON UPDATE SET NULL)""",
    )


def test_a_unique_constraint_is_made_and_dropped(up_and_down):
    up_and_down(
        migration(
            "op.create_unique_constraint('uq_user_email', 'user', ['email', 'name'])",
            "op.drop_constraint('uq_user_email', 'user', 'unique')",
        ),
        before=USER,
        after="""CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, email VARCHAR(40),
            CONSTRAINT uq_user_email UNIQUE (email, name))""",
    )


def test_a_check_is_made_and_dropped(up_and_down):
    up_and_down(
        migration(
            "op.create_check_constraint(op.f('ck_post_price'), 'post', 'price > 0')",
            "op.drop_constraint(op.f('ck_post_price'), 'post', type_='check')",
        ),
        before=POST,
        after="""CREATE TABLE post (
            id INTEGER PRIMARY KEY, title TEXT, user_id INTEGER, price INTEGER,
            CONSTRAINT ck_post_price CHECK (price > 0))""",
    )


def test_a_primary_key_is_made_and_dropped(up_and_down):
    table = "CREATE TABLE t (a INTEGER NOT NULL, b INTEGER NOT NULL%s)"
    up_and_down(
        migration(
            "op.create_primary_key('pk_t', 't', ['a', 'b'])",
            "op.drop_constraint('pk_t', 't', type_='primary')",
        ),
        before=table % "",
        after=table % ", CONSTRAINT pk_t PRIMARY KEY (a, b)",
    )


def test_comments_which_sqlite_has_not_do_not_stop_it(up_and_down):
    up_and_down(
        migration(
            """
            op.create_table_comment('user', 'people', existing_comment=None)
            op.alter_column('user', 'email', comment='theirs', existing_type=sa.String(40))
            """,
            """
            op.alter_column('user', 'email', comment=None, existing_type=sa.String(40))
            op.drop_table_comment('user', existing_comment='people')
            """,
        ),
        before=USER,
        after=USER,
    )


def test_a_column_with_a_foreign_key_is_added_with_it(up_and_down):
    up_and_down(
        migration(
            """op.add_column('post', sa.Column(
                'editor_id', sa.Integer(), sa.ForeignKey('user.id', ondelete='SET NULL')))""",
            "op.drop_column('post', 'editor_id')",
        ),
        before=USER + POST,
        after=USER
        + """CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT, user_id INTEGER, price INTEGER,
            editor_id INTEGER, CONSTRAINT fk_post_editor_id_user
            FOREIGN KEY(editor_id) REFERENCES user (id) ON DELETE SET NULL)""",
    )


def test_a_unique_column_is_added_with_a_constraint_that_has_a_name(up_and_down):
    text = up_and_down(
        migration(
            "op.add_column('user', sa.Column('slug', sa.String(9), unique=True, nullable=True))",
            "op.drop_column('user', 'slug')",
        ),
        before=USER,
        after="""CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, email VARCHAR(40),
            slug VARCHAR(9), CONSTRAINT uq_user_slug UNIQUE (slug))""",
    )
    assert "unique=True" not in text


def test_an_indexed_column_with_a_foreign_key_has_one_index(up_and_down):
    up_and_down(
        migration(
            """op.add_column('post', sa.Column(
                'editor_id', sa.Integer(), sa.ForeignKey('user.id'), index=True, unique=True))""",
            """
            op.drop_index('ix_post_editor_id', 'post')
            op.drop_column('post', 'editor_id')
            """,
        ),
        before=USER + POST,
        after=USER
        + """CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT, user_id INTEGER, price INTEGER,
            editor_id INTEGER, CONSTRAINT fk_post_editor_id_user
            FOREIGN KEY(editor_id) REFERENCES user (id));
            CREATE UNIQUE INDEX ix_post_editor_id ON post (editor_id);""",
    )


def test_a_column_with_the_time_as_its_default_is_added(tmp_path):
    text = safe(
        migration(
            "op.add_column('user', sa.Column('at', sa.DateTime(), server_default=sa.func.now()))"
        )
    )
    database = Database(tmp_path, USER + "INSERT INTO user VALUES (1, 'a', 'b');")
    database.upgrade(text)
    assert database.rows("SELECT id, at IS NOT NULL FROM user") == [(1, 1)]


def test_a_stored_generated_column_is_added(tmp_path):
    text = safe(
        migration(
            "op.add_column('user', sa.Column('n', sa.Text(), sa.Computed('name', persisted=True)))"
        )
    )
    database = Database(tmp_path, USER + "INSERT INTO user VALUES (1, 'a', 'b');")
    database.upgrade(text)
    assert database.rows("SELECT n FROM user") == [("a",)]


def test_an_enum_with_its_check_is_added_with_its_check(tmp_path):
    kind = "sa.Enum('a', 'b', name='kind', native_enum=False, create_constraint=True)"
    database = Database(tmp_path, USER)
    database.upgrade(safe(migration(f"op.add_column('user', sa.Column('kind', {kind}))")))
    assert {name for name, _ in database.schema["user"]["checks"]} == {"kind"}


@pytest.mark.parametrize(
    "column",
    [
        "sa.Column('n', sa.Integer(), nullable=True)",
        "sa.Column('n', sa.Integer(), server_default='0', nullable=False)",
        "sa.Column('n', sa.Integer(), server_default=sa.text('0'), nullable=False)",
        "sa.Column('n', sa.Text(), server_default=sa.text(\"'a (b)'\"), nullable=False)",
        "sa.Column('n', sa.Boolean(), server_default=sa.false(), nullable=False)",
        "sa.Column('n', sa.Text(), server_default=f'{1}', nullable=False)",
        "sa.Column('n', sa.Integer(), sa.CheckConstraint('n > 0', name='ck_n'))",
        "sa.Column('n', sa.Integer(), index=True, unique=True)",
        "sa.Column('n', sa.Text(), sa.Computed(\"name || 'x'\"))",
    ],
)
def test_a_column_that_sqlite_can_add_is_added_plainly(tmp_path, column):
    source = migration(f"op.add_column('user', {column})")
    assert safe(source) == source
    database = Database(tmp_path, USER + "INSERT INTO user VALUES (1, 'a', 'b');")
    database.upgrade(source)
    assert "n" in database.schema["user"]["columns"]


def test_a_column_that_refers_inline_is_added_plainly():
    column = "sa.Column('u', sa.Integer(), sa.ForeignKey('user.id'))"
    source = migration(f"op.add_column('post', {column}, inline_references=True)")
    assert safe(source) == source


def test_a_rename_stays_outside_of_a_batch_so_that_children_follow(tmp_path):
    source = migration(
        "op.alter_column('user', 'id', new_column_name='uid', existing_nullable=False)"
    )
    assert safe(source) == source
    child = "CREATE TABLE child (user_id INTEGER REFERENCES user (id));"
    database = Database(tmp_path, USER + child)
    database.upgrade(source)
    (key,) = database.schema["child"]["foreign"]
    assert key[2:4] == ("user", ("uid",))


def test_a_change_that_also_renames_is_a_change_and_then_a_rename(up_and_down):
    child = "CREATE TABLE child (user_id INTEGER, FOREIGN KEY(user_id) REFERENCES user (%s));"
    table = "CREATE TABLE user (%s INTEGER PRIMARY KEY, name TEXT, %s);"
    text = up_and_down(
        migration(
            """
            op.alter_column('user', 'id', new_column_name='uid', existing_type=sa.Integer(),
                            comment='key', existing_nullable=False)
            op.alter_column('user', 'email', nullable=False, existing_type=sa.String(40),
                            new_column_name='mail', server_default='?')
            """,
            """
            op.alter_column('user', 'mail', nullable=True, existing_type=sa.String(40),
                            new_column_name='email', server_default=None)
            op.alter_column('user', 'uid', new_column_name='id', existing_type=sa.Integer(),
                            comment=None, existing_nullable=False)
            """,
        ),
        before=table % ("id", "email VARCHAR(40)") + child % "id",
        after=table % ("uid", "mail VARCHAR(40) DEFAULT '?' NOT NULL") + child % "uid",
    )
    assert (
        "op.alter_column('user', 'email', new_column_name='mail', existing_nullable=False, "
        "existing_server_default='?', existing_type=sa.String(40))" in text
    )


def test_the_schema_goes_to_the_batch():
    source = migration(
        """
        op.drop_column('t', 'a', schema='aux')
        op.create_foreign_key('fk', 't', 'u', ['b'], ['id'], source_schema='aux', referent_schema='x')
        op.create_unique_constraint('uq', 't', ['b'], schema=None)
        """
    )
    text = safe(source)
    assert body(text) == (
        "with op.batch_alter_table('t', schema='aux') as batch_op:\n"
        "    batch_op.drop_column('a')\n"
        "    batch_op.create_foreign_key('fk', 'u', ['b'], ['id'], referent_schema='x')\n"
        "with op.batch_alter_table('t') as batch_op:\n"
        "    batch_op.create_unique_constraint('uq', ['b'])"
    )


def test_postgresql_and_mysql_arguments_travel_along():
    source = migration(
        """
        op.alter_column('t', 'a', type_=sa.Integer(), postgresql_using='a::integer',
                        existing_type=sa.Text(), existing_server_default=sa.text('0'))
        op.create_foreign_key('fk', 't', 'u', ['b'], ['id'], postgresql_not_valid=True,
                              deferrable=True, initially='DEFERRED', match='FULL')
        op.create_unique_constraint('uq', 't', ['b'], postgresql_nulls_not_distinct=True)
        op.drop_column('t', 'c', mssql_drop_default=True)
        """
    )
    text = safe(source)
    assert_same_on_postgresql(source, text)
    assert text.count("batch_alter_table") == 1


def test_rows_live_through_it(tmp_path):
    rows = "INSERT INTO user VALUES (1, 'a', 'b'), (2, NULL, 'c');"
    database = Database(tmp_path, USER + rows)
    database.upgrade(
        safe(
            migration(
                "op.alter_column('user', 'email', nullable=False, existing_type=sa.String(40))"
            )
        )
    )
    assert database.rows("SELECT * FROM user") == [(1, "a", "b"), (2, None, "c")]


def test_without_the_script_these_operations_fail_on_sqlite(tmp_path):
    database = Database(tmp_path, USER)
    source = migration("op.create_unique_constraint('uq_user_email', 'user', ['email'])")
    with pytest.raises(NotImplementedError):
        database.upgrade(source)
    assert database.schema == schema_of(tmp_path / "same", USER)
