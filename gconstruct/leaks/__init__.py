"""Does a split leak? What gives validation and test rows away, found in a finished graph folder."""

from gconstruct.leaks.base import LEAKS, Leak
from gconstruct.leaks.find import check_known_leaks, check_leaks, find_leaks, read_leaks
from gconstruct.leaks.telling import TELLING_INPUT

__all__ = ["LEAKS", "TELLING_INPUT", "Leak", "check_known_leaks", "check_leaks", "find_leaks", "read_leaks"]
