"""What an operator runs: connection, runs, registry, store, emulator, data, page, command line."""
