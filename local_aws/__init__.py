"""AWS on one machine: moto, extended so that what CDK deploys really runs.

Glue jobs run on Spark, training jobs train, state machines execute, the endpoint serves and
Lambda functions answer, each as a process of its own under one state folder. See README.md for
what is real and what is not.
"""
