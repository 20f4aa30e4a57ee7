"""The learning rate stays as it is."""


def decay(share: float) -> float:
    """Factor of the learning rate when ``share`` of all updates is done."""
    return 1.0
