"""Reload: a valid file takes effect without dropping a request; an invalid one changes nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from octoroute.config.difference import changes, needs_restart
from octoroute.config.model import Auth, Config, Endpoint, Secret, Server
from octoroute.errors import ConfigError
from tests.fakes.model_server import FakeModelServer, Ok, unauthorized
from tests.process import octoroute
from tests.serving import chat, client, config_for, endpoint, running, until

CHAT = "/v1/chat/completions"


async def test_a_running_stream_goes_on_and_the_next_request_goes_to_the_new_endpoint() -> None:
    async with (
        FakeModelServer("old", behaviour=Ok(["a"] * 10, between=0.05)) as old,
        FakeModelServer("new") as new,
        running(old) as daemon,
        client(daemon) as http,
    ):
        async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
            await old.wait_for(1)
            await daemon.apply(config_for(new))
            text = (await answer.aread()).decode()
        assert text.endswith("data: [DONE]\n\n")
        assert (await http.post(CHAT, json=chat())).headers["x-octoroute-endpoint"] == "new"
        assert (await http.post(CHAT, json=chat("old"))).status_code == 404


async def test_an_endpoint_that_stays_keeps_its_health_and_its_places() -> None:
    slow = Ok(["a"] * 10, between=0.05)
    async with (
        FakeModelServer(behaviour=slow) as fake,
        running(endpoint(fake, max_concurrent=1)) as daemon,
        client(daemon) as http,
    ):
        async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
            await fake.wait_for(1)
            kept = next(iter(daemon.service.fleet))
            daemon.service.fleet.record(kept, "failure")
            await daemon.apply(config_for(endpoint(fake, max_concurrent=1, weight=2.0)))
            assert next(iter(daemon.service.fleet)) is kept
            assert (kept.in_flight, kept.settings.weight) == (1, 2.0)
            await answer.aread()
        await until(lambda: kept.in_flight == 0)


async def test_who_waits_in_the_queue_gets_the_place_that_a_reload_makes() -> None:
    slow = Ok(["a"] * 40, between=0.05)
    async with (
        FakeModelServer(behaviour=slow) as fake,
        running(endpoint(fake, max_concurrent=1)) as daemon,
        client(daemon) as http,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(lambda: http.post(CHAT, json=chat(stream=True)))
        nursery.start_soon(lambda: http.post(CHAT, json=chat(stream=True)))
        await until(lambda: daemon.service.fleet.admission["fast"].waiting == 1)
        await daemon.apply(config_for(endpoint(fake, max_concurrent=2)))
        await fake.wait_for(2)
        assert next(iter(daemon.service.fleet)).in_flight == 2


async def test_a_key_that_was_put_right_is_tried_at_once() -> None:
    async with (
        FakeModelServer(behaviour=unauthorized()) as fake,
        running(fake) as daemon,
        client(daemon) as http,
    ):
        assert (await http.post(CHAT, json=chat())).status_code == 502
        assert next(iter(daemon.service.fleet)).health.state == "misconfigured"
        fake.behaviour = Ok(["Hello"])
        await daemon.apply(config_for(endpoint(fake, api_key=Secret("right"))))
        assert (await http.post(CHAT, json=chat())).status_code == 200
        assert fake.chats[-1].header("authorization") == "Bearer right"


async def test_clients_keys_change() -> None:
    async with FakeModelServer() as fake, running(fake) as daemon, client(daemon) as http:
        assert (await http.post(CHAT, json=chat())).status_code == 200
        await daemon.apply(config_for(fake, auth={"api_keys": (Secret("k"),)}))
        assert (await http.post(CHAT, json=chat())).status_code == 401


FILE = """
[server]
host = "127.0.0.1"
port = 0
[routing]
strategy = "rule"
[[models.fast]]
name = "{name}"
base_url = "{url}"
"""


async def test_sighup_reloads_the_file_and_an_invalid_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    async with FakeModelServer("fake") as fake:
        path.write_text(FILE.format(name="before", url=fake.base_url))
        async with octoroute("--config", str(path), cwd=tmp_path) as daemon:
            await daemon.says("metrics")
            path.write_text(FILE.format(name="after", url=fake.base_url))
            daemon.send(signal.SIGHUP)
            await daemon.says('"reloaded"')
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(daemon.url + CHAT, json=chat())
                assert answer.headers["x-octoroute-model"] == "after"
                path.write_text(FILE.format(name="auto", url="nonsense"))
                daemon.send(signal.SIGHUP)
                await daemon.says("not reloaded")
                answer = await http.post(daemon.url + CHAT, json=chat())
                assert answer.headers["x-octoroute-model"] == "after"
            problems = next(line for line in daemon.log if "not reloaded" in line["event"])["problems"]
            assert len(problems) == 2
            daemon.send(signal.SIGTERM)
            assert await daemon.ended() == 0


async def test_what_can_not_be_loaded_is_told_and_survived(capfd: pytest.CaptureFixture[str]) -> None:
    async with FakeModelServer() as fake, running(fake) as daemon, client(daemon) as http:

        def load() -> Config:
            raise ConfigError(["config.toml: no such file"])

        daemon._load = load
        await daemon.reload()
        assert (await http.post(CHAT, json=chat())).status_code == 200
    said = capfd.readouterr()
    assert "no such file" in said.out + said.err


def test_the_changes_in_words() -> None:
    one = Endpoint(name="a", base_url="http://a/v1", api_key=Secret("hidden"))
    other = msgspec.structs.replace(one, weight=2.0, api_key=Secret("shown?"))
    new = Endpoint(name="b", base_url="http://b/v1")
    told = changes(
        Config(models={"fast": (one,), "deep": (new,)}),
        Config(models={"fast": (other, new)}, server=Server(request_timeout_seconds=60)),
    )
    assert told == [
        "server.request_timeout_seconds: 300 -> 60",
        "models.fast a at http://a/v1.weight: 1.0 -> 2.0",
        "models.fast a at http://a/v1.api_key: Secret(…) -> Secret(…)",
        "models.fast b at http://b/v1: added",
        "models.deep b at http://b/v1: removed",
    ]
    assert "hidden" not in repr(
        changes(Config(models={}), Config(models={}, auth=Auth(api_keys=(Secret("hidden"),))))
    )


def test_what_wants_a_restart() -> None:
    assert needs_restart(Server(), Server(port=4000, tls_cert="c", drain_timeout_seconds=1)) == [
        "port",
        "tls_cert",
    ]


async def test_a_change_that_wants_a_restart_is_told_until_it_is_taken_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with FakeModelServer() as fake, running(fake) as daemon:
        told = "only a restart applies it"
        for port in (4000, 4000, 0):
            await daemon.apply(config_for(fake, server={"port": port}))
            said = capfd.readouterr()
            assert (told in said.out + said.err) is (port != 0)
