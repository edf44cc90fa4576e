"""One wheel of this checkout, and one environment with it, for all tests of the package."""

import pytest

from tests.package.installed import Installed, Wheel, build, install


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """The wheel of this checkout."""
    return Wheel(build("wheel", tmp_path_factory.mktemp("dist")))


@pytest.fixture(scope="session")
def installed(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel."""
    return install(wheel.path, tmp_path_factory.mktemp("environment"))
