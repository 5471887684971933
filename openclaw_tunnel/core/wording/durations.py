"""How long something took or lasted, in words."""


def duration(seconds: float) -> str:
    """``3s``, ``4m 10s``, ``3h 12m``, ``2d 4h``: the two largest units, whole seconds."""
    whole = max(0, int(seconds))
    for size, name, small, small_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size}{name}" + (f" {rest}{small_name}" if rest else "")
    return f"{whole}s"


def precise(seconds: float) -> str:
    """As :func:`duration`, and finer where that says little: ``40ms``, ``0.4s``, ``9.9s``, ``10s``."""
    tenths = round(seconds * 10)
    if tenths < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    return f"{tenths / 10:.1f}s" if tenths < 100 else duration(tenths / 10)
