"""Models to countries: the inference script, and the server of SageMaker's multi-model contract."""
