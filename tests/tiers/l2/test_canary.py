"""The canary: notices that do not arrive end the trust."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from overdrive._tiers.l2.canary import Canary
from overdrive._tiers.l2.delivery import Hooks
from overdrive._tiers.l2.listener import Listener
from overdrive._tiers.l2.tracking import Tracking
from tests.tiers.l2.fakes import STALENESS, STEPS, RecordingCoherence, make_listener, perform
from tests.tiers.servers import Server, eventually


class Probed:
    """A listener, and a canary that writes to the same server or to another one."""

    def __init__(self, server: Server, client: Any, *, tracked: bool = False) -> None:
        self.client = client
        self.coherence = RecordingCoherence()
        self.listener: Listener = make_listener(
            server.port,
            self.coherence,
            hooks=Hooks(on_probe=self.heard, on_keys=self.reported),
            tracking=Tracking(lambda header: None) if tracked else None,
        )
        self.canary = Canary(self.listener, self.write, touch=self.touch if tracked else None, interval=0.05)
        self.listener.start()
        eventually(lambda: self.coherence.is_trusted, "trusted")

    def heard(self, token: bytes) -> None:
        self.canary.heard(token)

    def reported(self, keys: tuple[bytes, ...]) -> None:
        for key in keys:
            self.canary.heard(key)

    def write(self, token: bytes) -> None:
        perform(self.client, STEPS.probe(token))

    def touch(self, key: bytes) -> None:
        self.client.set(b"{t}:v:" + key, b"", px=1000)

    def close(self) -> None:
        self.canary.close()
        self.listener.close()


@pytest.fixture
def probed(redis_server: Server) -> Iterator[Probed]:
    with redis_server.client() as client:
        probed = Probed(redis_server, client)
        yield probed
        probed.close()


def test_probe_that_arrives_is_healthy(probed: Probed) -> None:
    health = probed.canary.probe()
    assert health.state == "healthy"
    assert health.latency is not None
    assert 0 < health.latency < STALENESS
    assert probed.coherence.is_trusted


def test_probe_of_both_ways(server: Server) -> None:
    with server.client() as client:
        probed = Probed(server, client, tracked=True)
        assert probed.canary.probe().state == "healthy"
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        probed.touch = lambda key: None  # type: ignore[method-assign]
        probed.canary._touch = probed.touch
        eventually(lambda: probed.coherence.is_trusted, "trusted")
        assert probed.canary.probe().state == "unhealthy"
        probed.close()


def test_notices_that_are_swallowed_end_the_trust_until_they_arrive_again(
    probed: Probed, caplog: pytest.LogCaptureFixture
) -> None:
    probed.canary._write = lambda token: None
    assert probed.canary.probe().state == "unhealthy"
    assert not probed.coherence.is_trusted
    assert probed.canary.probe().failures == 2
    assert len(caplog.records) == 1
    stamp = probed.coherence.stamp()

    probed.canary._write = probed.write
    assert probed.canary.probe().state == "healthy"
    eventually(lambda: probed.coherence.is_trusted, "trusted")
    assert not probed.coherence.is_current(stamp, ())


def test_probe_that_cannot_be_written_says_nothing(probed: Probed) -> None:
    def refuse(token: bytes) -> None:
        raise ConnectionError("refused")

    probed.canary._write = refuse
    assert probed.canary.probe().state == "unknown"
    eventually(lambda: probed.coherence.is_trusted, "trusted")


def test_thread_probes_from_time_to_time(probed: Probed) -> None:
    probed.canary.start()
    probed.canary.start()
    eventually(lambda: probed.canary.health().probes > 2, "probed")
    assert probed.canary.health().state == "healthy"
    probed.canary.close()


def test_interval_of_zero_is_refused(probed: Probed) -> None:
    with pytest.raises(ValueError, match="interval must be greater than 0 s, got 0"):
        Canary(probed.listener, probed.write, interval=0)
