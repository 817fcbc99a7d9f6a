"""A history whose tables are parents with every kind of children, for tests that rebuild them."""

TABLES = """
for table in (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(20))",
    "CREATE TABLE cascaded (id INTEGER PRIMARY KEY, "
    "parent_id INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE)",
    "CREATE TABLE nulled (id INTEGER PRIMARY KEY, "
    "parent_id INTEGER REFERENCES parent (id) ON DELETE SET NULL)",
    "CREATE TABLE restricted (id INTEGER PRIMARY KEY, "
    "parent_id INTEGER REFERENCES parent (id) ON DELETE RESTRICT)",
    "CREATE TABLE tree (id INTEGER PRIMARY KEY, name VARCHAR(20), parent_id INTEGER, "
    "CONSTRAINT fk_tree FOREIGN KEY (parent_id) REFERENCES tree (id) ON DELETE CASCADE)",
):
    op.execute(table)
"""
ROWS = """
INSERT INTO parent VALUES (1, 'Ada'), (2, 'Grace');
INSERT INTO cascaded VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO nulled VALUES (1, 1), (2, NULL), (3, 2);
INSERT INTO restricted VALUES (1, 1), (2, 2);
INSERT INTO tree VALUES (1, 'root', NULL), (2, 'branch', 1), (3, 'leaf', 2)
"""
REBUILD = """
for table in ("parent", "tree"):
    with op.batch_alter_table(table, recreate="always") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(20), nullable=False)
"""
BROKEN = f"{REBUILD}\nop.execute('INSERT INTO missing VALUES (1)')\n"
