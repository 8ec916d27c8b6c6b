"""Stands in for AWS's own package where a Glue job's functions are called, but not the job."""
