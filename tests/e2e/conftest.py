"""The real fleet: three llama.cpp servers with a small model, each a process of its own.

Needs what `demo.llama_server.missing` names. Without it these tests are skipped, but fail on CI.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from demo.llama_server import LlamaServer, missing
from demo.run import models


@pytest.fixture(scope="session")
def fleet_of_the_session() -> Iterator[dict[str, LlamaServer]]:
    """Start the three once; however the session ends, they end with it."""
    if problem := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(problem)
    with models() as servers:
        yield servers


@pytest.fixture
def fleet(fleet_of_the_session: dict[str, LlamaServer]) -> Iterator[dict[str, LlamaServer]]:
    """The three servers by tier. A test may stop or kill them: they come back, on the same ports."""
    try:
        yield fleet_of_the_session
    finally:
        for server in fleet_of_the_session.values():
            if server.pid is None:
                server.start()
