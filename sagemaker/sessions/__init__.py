"""Sessions: training, judging and reporting how long sessions last."""
