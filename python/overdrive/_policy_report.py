"""What an adaptive policy does, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("PolicyReport", "PolicySwitch")


class PolicySwitch(NamedTuple):
    """A change of the expert that is followed.

    Attributes:
        request: which request it came with, counted from 1 over all reads and insertions.
        old: who had led.
        new: who has led since.
        gain: by how many hits per request the new one was ahead, on the sample, when it was chosen.
    """

    request: int
    old: str
    new: str
    gain: float


class PolicyReport(NamedTuple):
    """What an adaptive policy does, and why; `str()` puts it in one line.

    Attributes:
        leader: the expert whose rules are followed: "arc", or "wtinylfu-1", "-20", "-50", which is W-TinyLFU with a
            window of so many percent.
        hit_ratios: what each expert would have hit per request lately, 0 to 1, by a sample of the keys.
        sampled: requests that these rest on, older ones counting less.
        switches: how often the leader has changed.
        last_switch: the last change, if there was one.
        requests: reads and insertions so far.
    """

    leader: str
    hit_ratios: dict[str, float]
    sampled: float
    switches: int
    last_switch: PolicySwitch | None
    requests: int

    def __str__(self) -> str:
        ratios = ", ".join(f"{name} {ratio * 100:.1f} %" for name, ratio in self.hit_ratios.items())
        told = f"follows {self.leader}; lately {ratios} on a sample; {self.switches} switches"
        switch = self.last_switch
        if switch is None:
            return told
        return (
            f"{told}, the last from {switch.old} to {switch.new} at request {switch.request:,} of {self.requests:,}: "
            f"{switch.gain * 100:+.1f} points"
        )


# The public names, under which they are shown and pickled.
PolicyReport.__module__ = PolicySwitch.__module__ = "overdrive"
