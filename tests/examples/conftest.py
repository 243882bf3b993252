"""The schedulers; a test whose scheduler is not on this machine is skipped, and says what to install."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


# Airflow 2 cannot be installed with Python 3.13.
@pytest.fixture(params=["2", "3"] if sys.version_info < (3, 13) else ["3"])
def airflow(request: pytest.FixtureRequest) -> str:
    """The Python of an environment with this major version of Airflow."""
    for folder in os.get_exec_path():
        packages = Path(folder).parent.glob("lib/python*/site-packages/apache_airflow*.dist-info")
        names = {each.name.removesuffix(".dist-info") for each in packages}
        # From version 3 on, the command is in a package of its own.
        if any(
            name.startswith((f"apache_airflow-{request.param}", f"apache_airflow_core-{request.param}"))
            for name in names
        ):
            return str(Path(folder) / "python")
    pytest.skip(f"Airflow {request.param} is not on the PATH: pip install apache-airflow, in an environment of its own")


@pytest.fixture
def dagster() -> str:
    """The Python of an environment with Dagster."""
    found = shutil.which("dagster")
    if found is None:
        pytest.skip("Dagster is not on the PATH: pip install dagster, in an environment of its own")
    return str(Path(found).parent / "python")
