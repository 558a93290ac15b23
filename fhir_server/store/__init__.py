"""The port to MongoDB: the only package that knows it."""
