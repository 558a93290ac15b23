"""HTTP in and out: routes, requests, responses, errors. No database, no rule."""
