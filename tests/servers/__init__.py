"""Real servers and clients for end-to-end tests and benchmarks; each is started and ended by its own pid."""
