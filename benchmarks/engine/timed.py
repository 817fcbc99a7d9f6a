"""Runs a Python command, and writes to a file how long Alembic's upgrade took inside of it.

`timed.py FILE (-m MODULE | SCRIPT) [ARGUMENTS]`
"""

import runpy
import sys
import time

from alembic import command

file, *sys.argv[:] = sys.argv[1:]
upgrade = command.upgrade


def timed(*arguments, **options):
    begun = time.perf_counter()
    try:
        return upgrade(*arguments, **options)
    finally:
        with open(file, "w") as written:  # noqa: PTH123  (no more imports than the command has)
            written.write(str(time.perf_counter() - begun))


command.upgrade = timed
if sys.argv[0] == "-m":
    sys.argv.pop(0)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
