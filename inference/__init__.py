"""Models to answers: the inference script, and the server of SageMaker's multi-model contract."""
