"""Sessions: a client, what the command line asks, what a deployment is tried on."""
