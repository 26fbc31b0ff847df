"""Construction by Apache Spark: executors run our code on pieces of the tables, Spark moves rows between them."""
