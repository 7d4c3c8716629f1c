"""Names on a broker that several platforms may share."""


def qualified(namespace: str, name: str) -> str:
    """A name on the broker; the namespace keeps platforms that share one apart."""
    return f"{namespace}.{name}" if namespace else name
