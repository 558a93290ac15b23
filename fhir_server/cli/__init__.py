"""The command line: serve, load, token, reindex, audit verify, doctor."""
