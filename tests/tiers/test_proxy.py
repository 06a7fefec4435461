"""The proxy that faults are made with closes what it was given."""

from __future__ import annotations

import gc
import socket
import threading
import warnings

from tests.tiers.proxy import Proxy


def test_connection_that_is_made_while_it_ends_is_closed() -> None:
    goes_on = threading.Event()
    with warnings.catch_warnings(record=True) as caught, socket.socket() as client:
        warnings.simplefilter("always", ResourceWarning)
        with Proxy(1) as proxy:
            # Its loop finds the connection and the end at the same time.
            proxy._loop.call_soon_threadsafe(goes_on.wait)
            client.connect(("127.0.0.1", proxy.port))
            ends = threading.Timer(0.1, goes_on.set)
            ends.start()
        ends.join()
        gc.collect()
    assert [str(one.message) for one in caught] == []
