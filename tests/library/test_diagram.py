"""The picture of the models in docs/schema.md, held by `db check`."""

import re

import pytest

KEY = "id: Mapped[int] = mapped_column(primary_key=True)\n"
# of https://mermaid.js.org/syntax/entityRelationshipDiagram.html, what a table and a line between two are
ATTRIBUTE = re.compile(r'    [A-Za-z_][\w()\[\]-]* \w+( (PK|FK|UK)(,(PK|FK|UK))*)?( "[^"\n]*")?')
LINE = re.compile(r"  \w+ (\|\||\}o)--(o\||o\{) \w+ : \w+")


def drawn(project):
    text = (project.path / "docs" / "schema.md").read_text()
    return text.partition("```mermaid\nerDiagram\n")[2].partition("\n```")[0].splitlines()


def assert_mermaid_reads(lines):
    for line in lines:
        known = not line.strip() or re.fullmatch(r"  \w+ \{|  \}", line)
        assert known or ATTRIBUTE.fullmatch(line) or LINE.fullmatch(line), line


def test_the_models_are_drawn_and_the_file_is_held(blog):
    blog.db("check").assert_ok()
    assert "docs/schema.md is written." in blog.db("diagram").assert_ok().err
    lines = drawn(blog)
    assert "    VARCHAR(200) slug UK" in lines
    assert "  user ||--o{ post : user_id" in lines
    assert_mermaid_reads(lines)
    assert "is as it was" in blog.db("diagram").assert_ok().err
    blog.db("check").assert_ok()
    blog.replace(
        "my_app/models/post.py", "    summary:", "    mood: Mapped[int | None]\n    summary:"
    )
    blog.new_migration()
    blog.db("check").assert_one_sentence("docs/schema.md does not show the models", "make diagram")
    blog.db("diagram").assert_ok()
    assert '    INTEGER mood "nullable"' in drawn(blog)
    blog.db("check").assert_ok()


def test_what_the_owner_wrote_stays_and_a_file_of_his_own_is_not_judged(blog):
    file = blog.write("docs/schema.md", "# What we know of them\n")
    blog.db("check").assert_ok()
    blog.db("diagram").assert_ok()
    assert file.read_text().startswith("# What we know of them\n\n<!-- BEGIN")
    file.write_text(file.read_text() + "\nThe end.\n")
    blog.replace("my_app/models/post.py", "class Post", "# more\nclass Post")
    blog.db("check").assert_ok()
    assert file.read_text().endswith("\nThe end.\n")


def test_odd_names_types_and_comments_make_no_broken_picture(bare):
    bare.model(
        "odd",
        KEY
        + 'price: Mapped[float] = mapped_column("the price", sa.Numeric(10, 2), unique=True)\n'
        + "much: Mapped[float] = mapped_column(postgresql.DOUBLE_PRECISION)\n"
        + 'kind: Mapped[str] = mapped_column(sa.Enum("a b", \'c"d\', name="kind"))\n'
        + 'word: Mapped[str] = mapped_column(sa.String(9, collation="NOCASE"), comment=\'say "hi"\\nyou\')\n'
        + 'own: Mapped[int | None] = mapped_column(sa.ForeignKey("odd.id"))\n'
        + 'shape: Mapped[str] = mapped_column(type("Shape", (sa.types.UserDefinedType,), {}))',
        "from sqlalchemy.dialects import postgresql\n",
    )
    bare.replace("my_app/models/odd.py", "__tablename__ = 'odd'", "__tablename__ = 'odd'  # one")
    bare.db("diagram").assert_ok()
    lines = drawn(bare)
    assert_mermaid_reads(lines)
    assert "    NUMERIC(10-2) the_price UK" in lines
    assert "    DOUBLE_PRECISION much" in lines
    assert "  odd ||--o{ odd : own" in lines
    assert any("say 'hi' you" in line for line in lines)


@pytest.mark.drill
def test_without_paracelsus_it_says_what_to_install(blog):
    blog.db("diagram").assert_ok()
    blog.write("sitecustomize.py", "import sys\nsys.modules['paracelsus'] = None\n")
    for command in ("diagram", "check"):
        ran = blog.run(*blog.manage, "db", command, PYTHONPATH=str(blog.path))
        ran.assert_one_sentence("paracelsus", "make install")
