"""Does a split leak? What gives validation and test rows away, found in a finished graph folder."""

from gconstruct.leaks.base import LEAKS, Leak
from gconstruct.leaks.find import check_known_leaks, check_leaks, find_leaks, read_leaks

__all__ = ["LEAKS", "Leak", "check_known_leaks", "check_leaks", "find_leaks", "read_leaks"]
