"""Real servers as child processes: what the local stack and the tests run on. Nothing here is used in production."""
