"""The command line: serve, load, token, reindex, erase, audit verify, doctor."""
