"""Which hosts are this machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an address is this machine, and cannot be reached from another (RFC 6761, 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
