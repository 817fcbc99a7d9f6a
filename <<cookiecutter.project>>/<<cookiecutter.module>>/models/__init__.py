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
            raise ModelError(_sentence(error, here, name)) from error


def _sentence(error, here, name):
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)]
    file = here.joinpath(*name.split(".")).with_suffix(".py")
    own = [frame.lineno for frame in frames if frame.filename == str(file)]
    line = error.lineno if isinstance(error, SyntaxError) else (own or [None])[-1]
    where = f"{file}, line {line}" if line else f"{file}"
    said = f"{type(error).__name__}: {error}"
    return f"{where}: the model does not import ({said}); mend it and try again."
