"""Which record a resource belongs to, its labels and authors, and what its Consents decide. Pure."""
