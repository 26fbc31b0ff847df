"""SageMaker: what is copied to S3, which requests are sent, and how jobs are followed. boto3 is imported only here."""
