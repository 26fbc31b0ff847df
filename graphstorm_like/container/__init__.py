"""The programs of SageMaker's containers: what SageMaker lays below /opt/ml in, results below /opt/ml out.

python -m graphstorm_like.container train                        a training job, on each of its hosts
python -m graphstorm_like.container processing STAGES [K=V]...   a processing job: construct, or evaluate, infer
python -m graphstorm_like.container processing apply [K=V]...    a packed model on new tables, K of launch.apply
"""
