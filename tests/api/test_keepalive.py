"""A streaming request that waits: comments keep its client, and what comes after them is still the answer."""

from __future__ import annotations

import json
from contextlib import suppress

import httpx
import pytest
import trio

from tests.fakes.model_server import Behaviour, Delay, FakeModelServer, Hang, Ok, bad_request, internal_error
from tests.raw_client import request
from tests.serving import chat, client, connect, endpoint, running, until

CHAT = "/v1/chat/completions"

QUICK = {"keepalive_seconds": 0.1}
BOUND = 10


async def stream(behaviour: Behaviour, **server: object) -> tuple[int, str, str]:
    """Status, content type and text of a streamed answer whose model server behaves so."""
    parts: list[str] = []
    async with (
        FakeModelServer(behaviour=behaviour) as fake,
        running(fake, server=QUICK | server, retry={"max_attempts": 1}) as daemon,
        client(daemon) as http,
    ):
        with trio.fail_after(BOUND):
            async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
                with suppress(httpx.RemoteProtocolError):  # cut off on purpose, after an error event
                    async for part in answer.aiter_text():
                        parts.append(part)  # noqa: PERF401  # a comprehension loses what came before the cut
    return answer.status_code, answer.headers["content-type"], "".join(parts)


async def test_comments_come_while_the_model_server_is_silent_and_then_the_whole_stream() -> None:
    status, content_type, text = await stream(Delay(0.6, Ok(["Hello", " you"])))
    assert (status, content_type) == (200, "text/event-stream")
    waiting, _, answered = text.partition(": octoroute tier=fast endpoint=")
    assert waiting.count(": waiting\n\n") >= 2
    assert waiting.replace(": waiting\n\n", "") == ""
    assert '"Hello"' in answered
    assert answered.endswith("data: [DONE]\n\n")


async def test_a_quick_answer_has_no_comment() -> None:
    _, _, text = await stream(Ok(["Hello"]))
    assert not text.startswith(":")
    assert ": waiting" not in text


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [(Delay(0.4, internal_error()), "answered 500"), (Delay(0.4, bad_request()), ""), (Hang(), "1 s")],
)
async def test_a_failure_after_a_comment_is_an_error_event_without_done(
    behaviour: Behaviour, said: str
) -> None:
    status, _, text = await stream(behaviour, request_timeout_seconds=1)
    assert status == 200
    event = text.rpartition("data: ")[2]
    assert said in json.loads(event)["error"]["message"]
    assert "[DONE]" not in text


async def test_a_failure_before_any_comment_keeps_its_status() -> None:
    status, content_type, _ = await stream(internal_error())
    assert (status, content_type) == (502, "application/json")


async def test_it_can_be_switched_off() -> None:
    _, _, text = await stream(Delay(0.4, Ok(["Hello"])), keepalive_seconds=0)
    assert not text.startswith(":")


async def test_a_request_in_the_queue_is_kept_alive_too_and_its_place_is_given_back() -> None:
    async with (
        FakeModelServer(behaviour=Ok(["a"] * 5, between=0.15)) as fake,
        running(endpoint(fake, max_concurrent=1), server=QUICK) as daemon,
        client(daemon) as http,
    ):
        texts: list[str] = []

        async def ask() -> None:
            texts.append((await http.post(CHAT, json=chat(stream=True))).text)

        with trio.fail_after(BOUND):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                nursery.start_soon(ask)
        assert all(text.endswith("data: [DONE]\n\n") for text in texts)
        assert sorted(": waiting" in text for text in texts) == [False, True]
        await until(lambda: all(each.in_flight == 0 for each in daemon.service.fleet))


async def test_a_client_that_leaves_while_it_is_kept_alive_stops_the_model_server() -> None:
    async with FakeModelServer(behaviour=Hang()) as fake, running(fake, server=QUICK) as daemon:
        with trio.fail_after(BOUND):
            async with await connect(daemon) as stream:
                await stream.send_all(request("POST", CHAT, chat(stream=True)))
                received = b""
                while b": waiting" not in received:
                    received += await stream.receive_some()
            await fake.chats[0].disconnected.wait()
            await until(lambda: not daemon.app.exchanges)
