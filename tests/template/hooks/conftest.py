import sys
from pathlib import Path

import pytest

# cookiecutter puts the template's folder there as well
sys.path.append(str(Path(__file__).resolve().parents[3]))

from .miniature import Bakery, build_template


@pytest.fixture
def template(tmp_path):
    return build_template(tmp_path / "keel")


@pytest.fixture
def bakery(tmp_path):
    return Bakery(tmp_path)
