"""The models, one file each. Every module in this folder is imported by itself."""

import importlib
import pkgutil
import traceback
from pathlib import Path

import click


class ModelError(click.ClickException):
    """A model's module cannot be imported: its name and the error, in one sentence."""


def import_all():
    """Import every module of this package, so that no model is forgotten.

    :raises ModelError: naming the file that cannot be imported
    """
    here = Path(__file__).parent
    for folder in here.rglob("*/"):
        python = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        if python and not (folder / "__init__.py").exists():
            raise ModelError(
                f"{folder} has no __init__.py, so its models would be ignored: "
                f"type touch '{folder / '__init__.py'}'."
            )
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        name = module.name.removeprefix(f"{__name__}.")
        if not all(part.isidentifier() for part in name.split(".")):
            raise ModelError(f"{here / name}.py is no module name: rename or delete the file.")
        try:
            importlib.import_module(module.name)
        except Exception as error:
            file = here.joinpath(*name.split("."), *["__init__"] * module.ispkg)
            raise ModelError(_sentence(error, file.with_suffix(".py"))) from error


def _sentence(error, file):
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines = [error.lineno]
    where = f"{file}, line {lines[-1]}" if lines else f"{file}"
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"{where}: the model does not import ({said}); mend it and try again."
