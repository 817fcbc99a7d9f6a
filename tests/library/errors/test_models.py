"""Every module in models/ is imported by itself; one that cannot be is named, with its error."""

import pytest

from .every_way import assert_one_sentence

KEY = "id: Mapped[int] = mapped_column(primary_key=True)"


def test_a_model_that_nobody_imports_is_found(bare):
    bare.model("author", KEY)
    # its table is used in another file, which is read before it
    bare.model(
        "article", f'{KEY}\nauthor_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id"))'
    )
    bare.write(f"{bare.module}/models/shop/__init__.py", "")
    bare.model("shop/order", KEY).write_text(
        (bare.package / "models" / "author.py").read_text().replace("author", "order_line")
    )
    text = bare.new_migration().read_text().replace("'", '"')
    assert text.index('create_table("author"') < text.index('create_table("article"')
    assert 'create_table("order_line"' in text
    bare.db("upgrade").assert_ok()
    bare.db("check").assert_ok()


BROKEN = {
    "raises": ("1 / 0", "line 1", "ZeroDivisionError: division by zero"),
    "has a syntax error": ("x = 1\nclass (:", "line 2", "SyntaxError"),
    "imports what is not there": ("import not_installed", "line 1", "'not_installed'"),
    "defines a table twice": (
        "from my_app.extensions import db\n\nagain = db.Table('user', db.metadata)\n"
        "third = db.Table('user', db.metadata, db.Column('x', db.Integer))",
        "zebra.py",
        "already defined",
    ),
}


@pytest.mark.parametrize(("text", "line", "said"), BROKEN.values(), ids=BROKEN)
def test_a_model_that(project, text, line, said):
    file = project.write("my_app/models/zebra.py", text)
    assert_one_sentence(project, "migrate", str(file), line, said, "mend it")


def test_a_model_whose_helper_is_broken(project):
    project.write("my_app/helper.py", "\n\nx = (")
    file = project.write("my_app/models/zebra.py", "from my_app import helper")
    project.db("check").assert_one_sentence(f"{file}, line 1", "'(' was never closed")


def test_a_broken_package_of_models(project):
    file = project.write("my_app/models/shop/__init__.py", "1 / 0")
    project.db("check").assert_one_sentence(f"{file}, line 1", "division by zero")


@pytest.mark.parametrize("folder", ["models", "models/shop"])
def test_a_folder_without_its_init_file(project, folder):
    file = project.write(f"my_app/{folder}/order.py", "").with_name("__init__.py")
    file.unlink(missing_ok=True)
    assert_one_sentence(project, "migrate", str(file.parent), f"type touch '{file}'")
    file.touch()
    project.db("check").assert_ok()


@pytest.mark.parametrize("name", ["user copy.py", "user-old.py", "2user.py"])
def test_a_file_that_is_no_module(project, name):
    project.write(f"my_app/models/{name}", "")
    project.db("migrate").assert_one_sentence(name, "rename or delete the file")


def test_a_foreign_key_to_a_table_that_no_model_has(project):
    project.model("zebra", f'{KEY}\nat: Mapped[int] = mapped_column(sa.ForeignKey("zoo.id"))')
    project.db("migrate").assert_one_sentence("zebra.at", "'zoo'")
