"""Who asks: a bearer token becomes a `Requester`, or the request ends here. The development issuer and its actors."""
