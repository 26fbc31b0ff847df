"""Apache Parquet."""

from graphstorm_like.config.formats.base import Format, add_format

add_format(Format("parquet", (".parquet", ".pq")))
