#!/usr/bin/env python3
"""The application's commands without an activated environment: bin/manage.py db upgrade"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
sys.path.insert(0, str(ROOT))

if find_spec("flask_migrate") is None:
    if not os.access(PYTHON, os.X_OK) or Path(sys.prefix) == ROOT / ".venv":
        sys.exit("Error: the application is not installed here, or not for you: type make install.")
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

from <<cookiecutter.module>>.cli import main  # noqa: E402

if __name__ == "__main__":
    main(prog_name="bin/manage.py")
