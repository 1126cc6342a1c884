"""The HTTP API, the same for every engine: routes, bodies, errors, the secret and the event stream."""
