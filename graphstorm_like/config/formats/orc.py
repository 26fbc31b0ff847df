"""Apache ORC."""

from graphstorm_like.config.formats.base import Format, add_format

add_format(Format("orc", (".orc",)))
