"""Arrow IPC files and streams, of which Feather is one."""

from graphstorm_like.config.formats.base import Format, add_format

add_format(Format("arrow", (".arrow", ".arrows", ".ipc", ".feather")))
