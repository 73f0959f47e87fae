"""Stopping: running requests finish, new ones are refused, what is left in the end is cut; and it does end."""

from __future__ import annotations

import signal
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import trio

from octoroute.daemon import SAME_SIGNAL_SECONDS
from tests.fakes.behaviours import Exchange
from tests.fakes.model_server import FakeModelServer, Hang, Ok
from tests.process import DaemonProcess, octoroute, serving
from tests.raw_client import Ended, raw_client, request
from tests.serving import SECONDS, chat, client, endpoint, running, until

CHAT = "/v1/chat/completions"


class Held:
    """A stream that stops after its first events until `go` is set."""

    def __init__(self) -> None:
        self.go = trio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        write, pieces = exchange.write, 0

        async def held(data: bytes) -> None:
            nonlocal pieces
            pieces += 1
            if pieces == 4:
                await self.go.wait()
            await write(data)

        exchange.write = held
        await Ok(["first", "second", "third"])(exchange)


async def refused(url: str) -> None:
    """Wait until nobody listens there any more."""
    with trio.fail_after(SECONDS):
        while True:
            try:
                async with raw_client(url):
                    pass
            except OSError:
                return
            await trio.sleep(0.01)


def seconds_to_stop(process: DaemonProcess) -> float:
    times = {line["event"]: datetime.fromisoformat(line["timestamp"]) for line in process.log}
    return (times["stopped"] - times["draining"]).total_seconds()


# As a process, by real signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_a_stream_finish_and_refuses_what_is_new(
    tmp_path: Path, number: signal.Signals
) -> None:
    held = Held()
    async with FakeModelServer(behaviour=held) as fake, serving(tmp_path, fake) as process:
        async with raw_client(process.url) as http:
            await http.send(request("POST", CHAT, chat(stream=True)))
            with trio.fail_after(SECONDS):
                await http.body_has(b"first")
            process.send(number)
            await refused(process.url)
            assert process.process.poll() is None
            held.go.set()
            with trio.fail_after(SECONDS):
                answer = await http.answer()
            assert answer.body.endswith(b"data: [DONE]\n\n")
        assert await process.ended() == 0
        assert "Traceback" not in process.stderr
        assert process.stdout == ""


async def test_with_nothing_running_it_stops_at_once(tmp_path: Path) -> None:
    async with FakeModelServer() as fake, serving(tmp_path, fake, "drain_timeout_seconds = 30") as process:
        async with raw_client(process.url) as kept, raw_client(process.url):
            with trio.fail_after(SECONDS):
                await kept.send(request("POST", CHAT, chat()))
                assert (await kept.answer()).status == 200
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
        assert seconds_to_stop(process) < 0.5


async def test_what_runs_on_after_the_drain_is_cut_and_named(tmp_path: Path) -> None:
    async with (
        FakeModelServer(behaviour=Held()) as fake,
        serving(tmp_path, fake, "drain_timeout_seconds = 0.5") as process,
    ):
        async with raw_client(process.url) as http:
            await http.send(
                request("POST", CHAT, chat(stream=True), headers={"x-request-id": "the-long-one"})
            )
            with trio.fail_after(SECONDS):
                await http.body_has(b"first")
                process.send(signal.SIGTERM)
                received = await http.rest()
            assert b'"code":"shutting_down"' in received
            assert b"[DONE]" not in received
            assert not received.endswith(b"0\r\n\r\n")
        assert await process.ended() == 0
        assert [line["exchange"] for line in process.log if line["event"].startswith("cut")] == [
            "the-long-one"
        ]
        (told,) = (line for line in process.log if line["event"] == "request")
        assert told["broken"] is True
        with trio.fail_after(SECONDS):
            await fake.chats[0].disconnected.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    async with FakeModelServer(behaviour=Held()) as fake, serving(tmp_path, fake) as process:
        async with raw_client(process.url) as http:
            await http.send(
                request("POST", CHAT, chat(stream=True), headers={"x-request-id": "the-long-one"})
            )
            with trio.fail_after(SECONDS):
                await http.body_has(b"first")
            process.send(signal.SIGTERM)
            await process.says('"draining"')
            await trio.sleep(SAME_SIGNAL_SECONDS + 0.1)
            process.send(number)
            with trio.fail_after(5):
                assert await process.ended() == 1
        assert process.log[-1]["cut"] == ["the-long-one"]


async def test_a_signal_that_comes_twice_is_one(tmp_path: Path) -> None:
    held = Held()
    async with FakeModelServer(behaviour=held) as fake, serving(tmp_path, fake) as process:
        async with raw_client(process.url) as http:
            await http.send(request("POST", CHAT, chat(stream=True)))
            with trio.fail_after(SECONDS):
                await http.body_has(b"first")
                process.send(signal.SIGINT)
                process.send(signal.SIGTERM)
                await process.says('"draining"')
                held.go.set()
                assert (await http.answer()).body.endswith(b"[DONE]\n\n")
        assert await process.ended() == 0


async def test_a_signal_while_it_starts_stops_it(tmp_path: Path) -> None:
    async with FakeModelServer() as fake:
        fake.models = Hang()
        (tmp_path / "config.toml").write_text(
            f'[[models.fast]]\nname = "a"\nbase_url = "{fake.base_url}"\n'
            '[health]\ntimeout_seconds = 60\n[server]\nhost = "127.0.0.1"\nport = 0\n'
        )
        async with octoroute(cwd=tmp_path) as process:
            await until(lambda: fake.probes)
            process.send(signal.SIGTERM)
            with trio.fail_after(5):
                assert await process.ended() == 0
        assert "Traceback" not in process.stderr


# In this process


async def test_a_buffered_request_finishes_and_its_client_is_told_to_leave() -> None:
    async with (
        FakeModelServer(behaviour=Ok(first_after=0.5)) as fake,
        running(fake) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat()))
            await fake.wait_for(1)
            daemon.drain("the test says so")
            answer = await http.answer()
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
            await daemon.served.wait()


async def test_a_pipelined_request_is_refused_and_does_not_hold_up_the_end() -> None:
    held = Held()
    async with (
        FakeModelServer(behaviour=held) as fake,
        running(fake, server={"drain_timeout_seconds": 60}) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(request("POST", CHAT, chat(stream=True)) + request("POST", CHAT, chat()))
            await http.body_has(b"first")
            daemon.drain("the test says so")
            held.go.set()
            assert (await http.answer()).body.endswith(b"[DONE]\n\n")
            try:
                answer = await http.answer()
            except Ended:
                pass
            else:
                assert (answer.status, answer.headers["connection"]) == (503, "close")
            await daemon.served.wait()
    assert len(fake.chats) == 1


async def test_a_request_whose_body_arrives_while_draining_is_refused() -> None:
    held = Held()
    whole = request("POST", CHAT, chat())
    async with (
        FakeModelServer(behaviour=held) as fake,
        running(fake) as daemon,
        raw_client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            await http.send(whole[:-5])
            await until(lambda: daemon.app.exchanges)
            daemon.drain("the test says so")
            await http.send(whole[-5:])
            answer = await http.answer()
            # It was accepted before: it may be answered, or refused, but not forgotten.
            assert answer.status in {200, 503}
            assert answer.headers["connection"] == "close"
            await daemon.served.wait()


async def test_half_a_head_does_not_hold_up_the_end() -> None:
    async with (
        FakeModelServer() as fake,
        running(fake, server={"drain_timeout_seconds": 60}) as daemon,
        raw_client(daemon) as http,
    ):
        await http.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc")
        await trio.testing.wait_all_tasks_blocked(0.05)
        daemon.drain("the test says so")
        with trio.fail_after(SECONDS):
            await daemon.served.wait()


async def test_who_waits_in_a_queue_is_refused() -> None:
    held = Held()
    async with (
        FakeModelServer(behaviour=held) as fake,
        running(endpoint(fake, max_concurrent=1)) as daemon,
        client(daemon) as http,
    ):
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await http.post(CHAT, json=chat(stream=True)))

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await fake.wait_for(1)
                nursery.start_soon(ask)
                await until(lambda: daemon.service.fleet.admission["fast"].waiting == 1)
                daemon.drain("the test says so")
                await until(lambda: answers)
                assert answers[0].status_code == 503
                assert answers[0].json()["error"]["code"] == "shutting_down"
                assert answers[0].headers["connection"] == "close"
                assert answers[0].headers["retry-after"]
                held.go.set()
            await daemon.served.wait()
        assert answers[1].text.endswith("[DONE]\n\n")


async def test_a_request_that_has_no_answer_yet_is_told_so_when_it_is_cut() -> None:
    async with (
        FakeModelServer(behaviour=Hang()) as fake,
        running(fake, server={"drain_timeout_seconds": 0.2}) as daemon,
        client(daemon) as http,
    ):
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:

                async def stop() -> None:
                    await fake.wait_for(1)
                    daemon.drain("the test says so")

                nursery.start_soon(stop)
                answer = await http.post(CHAT, json=chat())
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "shutting_down"
            await daemon.served.wait()
            await fake.chats[0].disconnected.wait()
