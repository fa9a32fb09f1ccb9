"""An exact test of signs over sessions, which assumes nothing of their distribution."""

from collections.abc import Sequence

from scipy.stats import binomtest


def p_value(signs: Sequence[float]) -> float | None:
    """Two-sided exact p that either sign is equally likely; zeros count for neither.

    Args:
        signs: differences, or their signs; None of them known or all zero gives None.
    """
    above, below = sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs)
    return float(binomtest(above, above + below).pvalue) if above + below else None


def sentence(num_sessions: int) -> str:
    """In words, the least p-value that so many sessions can give."""
    # All signs alike, in one direction or the other: 2 of 2 ** n outcomes.
    least = min(1.0, 2.0 ** (1 - num_sessions))
    several = f"{num_sessions} session{'' if num_sessions == 1 else 's'}"
    if least > 0.05:
        return (
            f"{several}: even if all agree in sign, an exact two-sided sign test gives p = "
            f"{least:.2g}, so signs "
            "alone support no claim about other sessions; Student's t can tell more, if "
            "differences are about normal."
        )
    needed = next(
        k for k in range(num_sessions, 0, -1) if binomtest(k - 1, num_sessions).pvalue > 0.05
    )
    return (
        f"{several}: if all agree in sign, an exact two-sided sign test gives p = {least:.2g}; p "
        "below 0.05 needs "
        f"{needed} of {num_sessions}. Sessions of one animal are not independent."
    )
