"""The packed models of the tests of `deploy`."""

from tests.deploy.conftest import make_packed

__all__ = ["make_packed"]
