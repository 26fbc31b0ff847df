"""What spark-submit, EMR Serverless and SageMaker start: builds the graph of a pipeline. See docs/guide/spark.md.

spark-submit --py-files graphstorm_like_packages.zip construct.py pipeline.yaml graph.path=s3://bucket/graph
"""

import sys

from gconstruct.engines.spark.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
