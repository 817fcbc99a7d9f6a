"""A migration that waits in the middle, for tests that meanwhile do something else."""

import time

WAITS = """
import pathlib, time
pathlib.Path("begun").touch()
for _ in range(3000):
    if pathlib.Path("go").exists():
        break
    time.sleep(0.02)
"""


def wait_for(path, process):
    """Wait until a process has made a file."""
    ends = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.01)
