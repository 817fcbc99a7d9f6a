"""For each rule what breaks it, what the first line says of it, and what does not break it."""

from dataclasses import dataclass

EVERYWHERE = ("sqlite", "postgresql", "mariadb")
SERVERS = ("postgresql", "mariadb")


@dataclass(frozen=True)
class Case:
    """``says`` is the first line of the finding; ``on`` are the databases on which it is said."""

    rule: str
    unsafe: str
    says: str
    safe: str
    on: tuple[str, ...] = EVERYWHERE
    # where the rule is silent about the unsafe migration, too
    not_on: tuple[str, ...] = ()


BATCH = 'with op.batch_alter_table("{table}") as batch_op:\n    batch_op.{call}'


def batch(table: str, call: str) -> str:
    """Return a batch with one call; it stands on its second line."""
    return BATCH.format(table=table, call=call)


CASES = [
    Case(
        "drop-table",
        'op.drop_table("post")',
        "line 11: drops post and its rows [drop-table, loses data]",
        'op.create_table("t", sa.Column("id", sa.Integer()))\nop.drop_table("t")',
    ),
    Case(
        "drop-column",
        batch("post", 'drop_column("body")'),
        "line 12: drops post.body and its values [drop-column, loses data]",
        batch("post", 'add_column(sa.Column("note", sa.Text()))'),
    ),
    Case(
        "drop-and-add",
        batch("post", 'add_column(sa.Column("text", sa.Text()))\n    batch_op.drop_column("body")'),
        "line 13: drops post.body and adds post.text of the same type [drop-and-add, loses data]",
        batch("post", 'alter_column("body", new_column_name="text", existing_type=sa.Text())'),
    ),
    Case(
        "drop-and-compute",
        batch(
            "user",
            'drop_column("age")\n    batch_op.add_column(sa.Column("age", sa.Integer(), '
            'sa.Computed("price * 2", persisted=True)))',
        ),
        "line 12: makes user.age a computed column, and drops its values "
        "[drop-and-compute, loses data]",
        batch(
            "user", 'add_column(sa.Column("w", sa.Integer(), sa.Computed("price", persisted=True)))'
        ),
    ),
    Case(
        "drop-column",
        batch("post", 'drop_column("body")\n    batch_op.add_column(sa.Column("body", sa.Text()))'),
        "line 12: drops post.body and its values [drop-column, loses data]",
        batch("post", 'add_column(sa.Column("other", sa.Text()))'),
    ),
    Case(
        "narrow-type",
        batch(
            "user",
            'alter_column("email", type_=sa.String(20), '
            "existing_type=sa.String(50), existing_nullable=False)",
        ),
        "line 12: makes user.email narrower: VARCHAR(50) to VARCHAR(20) [narrow-type, loses data]",
        batch(
            "user",
            'alter_column("email", type_=sa.String(60), '
            "existing_type=sa.String(50), existing_nullable=False)",
        ),
        on=SERVERS,
    ),
    Case(
        "narrow-type",
        batch("user", 'alter_column("email", type_=sa.String(20))'),
        "line 12: makes user.email narrower: VARCHAR(50) to VARCHAR(20) [narrow-type, note]",
        batch("user", 'alter_column("email", type_=sa.Text())'),
        on=("sqlite",),
    ),
    Case(
        "change-type",
        batch("user", 'alter_column("price", type_=sa.Integer(), existing_type=sa.Numeric(10, 2))'),
        "line 12: changes user.price from NUMERIC(10, 2) to INTEGER [change-type, loses data]",
        batch("user", 'alter_column("age", type_=sa.Numeric(20, 2), existing_type=sa.Integer())'),
    ),
    Case(
        "delete-rows",
        """op.execute("-- old ones\\nDELETE FROM post WHERE title = 'a;b'")""",
        "line 11: deletes rows: -- old ones DELETE FROM post WHERE title = 'a;b' "
        "[delete-rows, loses data]",
        """op.execute("UPDATE post SET title = 'DELETE FROM post' WHERE id = 1")""",
    ),
    Case(
        "drop-in-sql",
        'op.execute("DROP TABLE post")',
        "line 11: drops something in SQL of its own: DROP TABLE post [drop-in-sql, loses data]",
        'op.execute("CREATE TABLE t AS SELECT * FROM post")\nop.execute("DROP TABLE t")',
    ),
    Case(
        "rename-column",
        'op.alter_column("post", "body", new_column_name="text", existing_type=sa.Text())',
        "line 11: renames post.body to text [rename-column, blocks the running release]",
        'op.add_column("post", sa.Column("text", sa.Text()))',
    ),
    Case(
        "rename-table",
        'op.rename_table("post", "entry")',
        "line 11: renames post to entry [rename-table, blocks the running release]",
        'op.create_table("t", sa.Column("id", sa.Integer()))\nop.rename_table("t", "entry")',
    ),
    Case(
        "rename-in-sql",
        'op.execute("ALTER TABLE post RENAME TO entry")',
        "line 11: renames something in SQL of its own: ALTER TABLE post RENAME TO entry "
        "[rename-in-sql, blocks the running release]",
        "op.execute(\"INSERT INTO post (id, title) VALUES (1, 'ALTER TABLE post RENAME TO entry')\")",
    ),
    Case(
        "add-not-null",
        batch("bare", 'add_column(sa.Column("c", sa.Integer(), nullable=False))'),
        "line 12: adds bare.c NOT NULL without a default of the database "
        "[add-not-null, blocks the running release]",
        batch(
            "bare", 'add_column(sa.Column("c", sa.Integer(), nullable=False, server_default="0"))'
        ),
    ),
    Case(
        "add-not-null",
        'op.add_column("bare", sa.Column("c", sa.Integer()))\n'
        'op.execute("UPDATE bare SET c = 1 WHERE c IS NULL")\n'
        + batch("bare", 'alter_column("c", nullable=False, existing_type=sa.Integer())'),
        "line 14: adds bare.c NOT NULL without a default of the database "
        "[add-not-null, blocks the running release]",
        'op.add_column("bare", sa.Column("c", sa.Integer()))',
    ),
    Case(
        "set-not-null",
        batch("user", 'alter_column("name", nullable=False, existing_type=sa.String(50))'),
        "line 12: makes user.name NOT NULL [set-not-null, blocks the running release]",
        batch("user", 'alter_column("email", nullable=False, existing_type=sa.String(50))'),
    ),
    Case(
        "add-unique",
        batch("user", 'create_unique_constraint("uq_user_email", ["email"])'),
        "line 12: makes user(email) unique [add-unique, blocks the running release]",
        'op.add_column("user", sa.Column("nick", sa.String(50)))\n'
        + batch("user", 'create_unique_constraint("uq_user_nick", ["nick"])'),
    ),
    Case(
        "add-unique",
        'op.create_index("ix_user_email", "user", ["email"], unique=True)',
        "line 11: makes user(email) unique [add-unique, blocks the running release]",
        'op.create_index("ix_user_email", "user", ["email"])',
    ),
    Case(
        "add-check",
        batch("user", 'create_check_constraint("ck_user_age", "age > 0")'),
        "line 12: adds a CHECK to user: age > 0 [add-check, blocks the running release]",
        'op.create_table("t", sa.Column("a", sa.Integer()), sa.CheckConstraint("a > 0", name="ck_t_a"))',
    ),
    Case(
        "add-foreign-key",
        batch("post", 'create_foreign_key("fk_post_user_id_user", "user", ["user_id"], ["id"])'),
        "line 12: adds a foreign key from post.user_id to user "
        "[add-foreign-key, blocks the running release]",
        'op.add_column("post", sa.Column("editor_id", sa.Integer()))\n'
        + batch("post", 'create_foreign_key("fk_post_editor_id", "user", ["editor_id"], ["id"])'),
    ),
    Case(
        "rewrite-table",
        batch("user", 'alter_column("age", type_=sa.BigInteger(), existing_type=sa.Integer())'),
        "line 12: rewrites user, row by row: age changes from INTEGER to BIGINT "
        "[rewrite-table, takes a lock]",
        batch("user", 'alter_column("code", type_=sa.String(200), existing_type=sa.String(80))'),
        on=SERVERS,
        not_on=("sqlite",),
    ),
    Case(
        "rewrite-table",
        'op.add_column("user", sa.Column("c", sa.Integer(), sa.Computed("age * 2", persisted=True)))',
        "line 11: rewrites user, row by row: every row gets a value in c "
        "[rewrite-table, takes a lock]",
        'op.add_column("user", sa.Column("made", sa.DateTime(), server_default=sa.func.now()))',
        on=SERVERS,
    ),
    Case(
        "rewrite-table",
        'op.add_column("user", sa.Column("luck", sa.Float(), server_default=sa.text("(random())")))',
        "line 11: rewrites user, row by row: every row gets a default of its own in luck "
        "[rewrite-table, takes a lock]",
        'op.add_column("user", sa.Column("luck", sa.Float(), server_default=sa.text("0.5")))',
        on=("postgresql",),
    ),
    Case(
        "rewrite-table",
        'op.execute("ALTER TABLE post ADD COLUMN n INTEGER, ALGORITHM=COPY")',
        "line 11: rewrites a table, row by row: ALTER TABLE post ADD COLUMN n INTEGER, "
        "ALGORITHM=COPY [rewrite-table, takes a lock]",
        'op.execute("ALTER TABLE post ADD COLUMN n INTEGER, ALGORITHM=INSTANT")',
        on=("mariadb",),
    ),
    Case(
        "add-primary-key",
        batch("bare", 'create_primary_key("pk_bare", ["a"])'),
        "line 12: adds a primary key to bare [add-primary-key, takes a lock]",
        'op.create_table("t", sa.Column("a", sa.Integer(), primary_key=True))',
        on=SERVERS,
        not_on=("sqlite",),
    ),
    Case(
        "add-exclude",
        'op.create_exclude_constraint("ex_user", "user", ("age", "="), using="btree")',
        "line 11: adds an exclusion constraint to user [add-exclude, takes a lock]",
        'op.create_index("ix_user_age", "user", ["age"])',
        on=("postgresql",),
    ),
    Case(
        "update-every-row",
        """op.execute("UPDATE post SET title = 'x'")""",
        "line 11: updates every row of post in one statement [update-every-row, takes a lock]",
        """op.execute("UPDATE post SET title = 'x' WHERE id < 100")""",
        on=SERVERS,
        not_on=("sqlite",),
    ),
    Case(
        "rows-and-schema",
        """op.execute("UPDATE post SET title = 'x' WHERE id < 100")
op.add_column("user", sa.Column("note", sa.Text()))""",
        "line 11: changes rows of post and the schema in one migration "
        "[rows-and-schema, takes a lock]",
        """op.execute("UPDATE post SET title = 'x' WHERE id < 100")""",
        on=("postgresql",),
        not_on=("sqlite", "mariadb"),
    ),
    Case(
        "drop-foreign-key",
        batch("post", 'drop_constraint("fk_post_author_id_user", type_="foreignkey")'),
        "line 12: drops the foreign key fk_post_author_id_user of post [drop-foreign-key, note]",
        'op.create_index("ix_user_age", "user", ["age"])',
    ),
    Case(
        "drop-not-null",
        batch("user", 'alter_column("email", nullable=True, existing_type=sa.String(50))'),
        "line 12: lets user.email be NULL [drop-not-null, note]",
        batch("user", 'alter_column("name", nullable=True, existing_type=sa.String(50))'),
    ),
    Case(
        "wide-index",
        'op.create_index("ix_wide", "user", ["email", "name", "age", "price"])',
        "line 11: indexes 4 columns of user [wide-index, note]",
        'op.create_index("ix_wide", "user", ["email", "name", "age"])',
    ),
    Case(
        "long-name",
        f'op.add_column("post", sa.Column("{"é" * 32}", sa.Text()))',
        f"line 11: uses a name of 64 bytes: {'é' * 32} [long-name, note]",
        f'op.add_column("post", sa.Column("{"é" * 31}", sa.Text()))',
    ),
    Case(
        "default-in-quotes",
        'op.add_column("post", sa.Column("made", sa.String(50), server_default="now()"))',
        "line 11: gives post.made the default text 'now()' [default-in-quotes, note]",
        'op.add_column("post", sa.Column("made", sa.String(50), server_default="soon"))',
    ),
    Case(
        "big-key-on-sqlite",
        'op.create_table("t", sa.Column("id", sa.BigInteger(), primary_key=True))',
        "line 11: gives t a primary key of type BIGINT [big-key-on-sqlite, note]",
        'op.create_table("t", sa.Column('
        '"id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True))',
        on=("sqlite",),
        not_on=SERVERS,
    ),
    Case(
        "small-key",
        'op.create_table("t", sa.Column("id", sa.SmallInteger(), primary_key=True))',
        "line 11: gives t a primary key of type SMALLINT [small-key, note]",
        'op.create_table("t", sa.Column("id", sa.Integer(), primary_key=True))',
        on=SERVERS,
        not_on=("sqlite",),
    ),
    Case(
        "plain-json",
        'op.add_column("post", sa.Column("more", sa.JSON()))',
        "line 11: gives post.more the type JSON [plain-json, note]",
        'op.add_column("post", sa.Column("more", postgresql.JSONB()))',
        on=("postgresql",),
    ),
    Case(
        "not-repeatable",
        "with op.get_context().autocommit_block():\n"
        '    op.create_index("ix_a", "user", ["age"], postgresql_concurrently=True)',
        "line 12: builds the index ix_a CONCURRENTLY, and cannot be run again [not-repeatable, note]",
        "with op.get_context().autocommit_block():\n"
        '    op.create_index("ix_a", "user", ["age"], postgresql_concurrently=True, if_not_exists=True)',
        on=("postgresql",),
        not_on=("sqlite", "mariadb"),
    ),
    Case(
        "inline-references",
        'op.add_column("bare", sa.Column("u", sa.Integer(), sa.ForeignKey("user.id")), '
        "inline_references=True)",
        "line 11: adds bare.u with REFERENCES in the column [inline-references, note]",
        'op.add_column("bare", sa.Column("u", sa.Integer()))',
        on=("mariadb",),
    ),
    Case(
        "own-transaction",
        'op.execute("COMMIT")',
        "line 11: begins or ends a transaction: COMMIT [own-transaction, note]",
        'op.execute("SAVEPOINT one")',
        on=SERVERS,
    ),
    Case(
        "no-reason",
        "# lint: drop-column\npass",
        "line 11: would silence drop-column, and gives no reason [no-reason, note]",
        "# lint: drop-column because nobody reads it\npass",
    ),
    # squawk's
    Case(
        "require-concurrent-index-creation",
        'op.create_index("ix_user_age", "user", ["age"])',
        "line 11: During normal index creation, table updates are blocked, but reads are still "
        "allowed [require-concurrent-index-creation, takes a lock]",
        'op.create_table("t", sa.Column("a", sa.Integer()))\nop.create_index("ix_t_a", "t", ["a"])',
        on=("postgresql",),
        not_on=("sqlite", "mariadb"),
    ),
    Case(
        "constraint-missing-not-valid",
        'op.create_check_constraint("ck_a", "user", "age > 0", postgresql_not_valid=True)\n'
        'op.execute("ALTER TABLE \\"user\\" VALIDATE CONSTRAINT ck_a")',
        "line 12: Using `NOT VALID` and `VALIDATE CONSTRAINT` in the same transaction will block "
        "all reads while the constraint is validated [constraint-missing-not-valid, takes a lock]",
        'op.create_check_constraint("ck_a", "user", "age > 0", postgresql_not_valid=True)',
        on=("postgresql",),
    ),
]
