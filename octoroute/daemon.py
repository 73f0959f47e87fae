"""READ FIRST: the life of the daemon. Build, probe once, listen, be ready, drain, exit: one nursery.

root nursery
├─ signals               SIGTERM, SIGINT: drain; a second one stops at once; SIGHUP: reload
├─ admin                 the same and more from the command line: reload, drain NAME, enable NAME, status
├─ monitor (supervised)  probes every endpoint, sweep after sweep
├─ systemd               signs of life, where it wants them
└─ server                one task a connection, one exchange a request
"""

from __future__ import annotations

import gc
import math
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import trio

from octoroute import __version__, admin, systemd
from octoroute.api import chat, legacy, models, operations
from octoroute.api.app import App, Service
from octoroute.api.auth import Keys
from octoroute.config.difference import changes, needs_restart
from octoroute.config.model import Config
from octoroute.errors import ConfigError, NoSuchEndpoint
from octoroute.fleet.fleet import Fleet
from octoroute.fleet.monitor import Monitor
from octoroute.fleet.probe import ProbeResult
from octoroute.routing.router import router_for
from octoroute.server import listen, serve, tls_context
from octoroute.supervision import Supervisor
from octoroute.telemetry import logs
from octoroute.telemetry.events import MonitorFailed, Publish, fan_out
from octoroute.telemetry.metrics import Metrics

log = logs.get_logger("octoroute.daemon")

CUT_MARGIN_SECONDS = 3.0
"""What was cut at the end of the drain may take this long to say so to its client."""
HARD_STOP_MARGIN_SECONDS = 15.0
"""What is still there this long after the drain's end hangs, and is ended."""
SAME_SIGNAL_SECONDS = 0.5
"""Signals to stop this close to the first are the same one, sent twice: terminals and supervisors signal a whole
group of processes, and whoever started us (the one-file binary's loader, for one) hands on what it gets."""
EXIT_STOPPED_HARD = 1

Announce = Callable[[str], None]


async def run(
    config: Config,
    announce: Announce,
    *,
    load: Callable[[], Config] | None = None,
    admin_directory: Path | None = None,
    task_status: trio.TaskStatus[Daemon] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the daemon until it is told to stop, by signal or `Daemon.drain`.

    `announce` gets what a user should see at the start, a paragraph at a time. `load` reads the configuration
    again for a reload; it may block and raise ConfigError. Without it nothing is there to be reloaded.
    `admin_directory` is where the admin socket is made; None for none.

    Raises:
        StartError: it can't listen where the configuration says.
    """
    tls = tls_context(config.server)
    sockets = listen(config.server)
    port: int = sockets[0].getsockname()[1]
    daemon = Daemon(config, load)
    opened = ExitStack()
    try:
        async with trio.open_nursery() as root:
            root.start_soon(daemon.watch_signals, name="signals")
            systemd.notify("STATUS=Probing the endpoints")
            results = await daemon.first_sweep()
            root.start_soon(daemon.service.supervisor.run, name="monitor")
            root.start_soon(daemon.cut_after_drain, name="cut after drain")
            root.start_soon(daemon.app.keep_clients, name="keep clients")
            await root.start(daemon.serve, sockets, tls, name="server")
            daemon.url = reachable_url(config, port)
            if admin_directory is not None:
                commands = opened.enter_context(admin.listening(admin_directory, port))
                if commands is not None:
                    root.start_soon(admin.serve, commands, daemon.obey, name="admin")
            announce(start_message(daemon, results))
            systemd.ready(daemon.summary())
            root.start_soon(systemd.keep_informed, daemon.summary, name="systemd")
            task_status.started(daemon)
            spare_garbage_collector()
            await daemon.served.wait()
            root.cancel_scope.cancel("drained")
    finally:
        opened.close()
        for listener in sockets:
            listener.close()
        await daemon.service.fleet.aclose()
        if daemon.hard_stop is not None:
            daemon.hard_stop.cancel()
    log.info("stopped")


class Daemon:
    """The running program: what serves, and the ways to stop it."""

    def __init__(self, config: Config, load: Callable[[], Config] | None = None) -> None:
        self._load = load
        self._bound = config.server
        self.service, self.publish = build(config)
        self.app = App(self.service, self.publish)
        self.app.add_routes(chat.ROUTES, legacy.ROUTES, models.ROUTES, operations.ROUTES)
        self.served = trio.Event()
        self.url = ""
        self.started = trio.current_time()
        self._starting = trio.CancelScope()
        self._draining = trio.Event()
        self._reloading = trio.Lock()
        self.hard_stop: threading.Timer | None = None

    async def first_sweep(self) -> dict[str, ProbeResult]:
        """Probe every endpoint, so that the first request finds out nothing; a signal to stop cuts it short."""
        with self._starting:
            return await self.service.monitor.sweep()
        return {}

    async def serve(  # noqa: ASYNC128  # hands it on
        self,
        sockets: list[socket.socket],
        tls: ssl.SSLContext | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until drained."""
        try:
            await serve(
                self.app,
                sockets,
                tls=tls,
                send_seconds=lambda: self.service.config.server.stream_idle_timeout_seconds,
                drain=self._draining,
                drain_seconds=lambda: self.service.config.server.drain_timeout_seconds + CUT_MARGIN_SECONDS,
                task_status=task_status,
            )
        finally:
            self.served.set()

    def drain(self, reason: str) -> None:
        """Stop gracefully: no new requests, running ones finish within `drain_timeout_seconds`."""
        if self._draining.is_set():
            return
        log.info("draining", reason=reason, running=len(self.app.exchanges))
        self.service.draining = True
        self._starting.cancel(reason)
        for admission in self.service.fleet.admission.values():
            admission.close()
        self._draining.set()
        # From outside of the event loop, which may hang.
        patience = self.service.config.server.drain_timeout_seconds + HARD_STOP_MARGIN_SECONDS
        self.hard_stop = threading.Timer(patience, os._exit, [EXIT_STOPPED_HARD])
        self.hard_stop.daemon = True
        self.hard_stop.start()
        systemd.stopping(self.summary(), patience)

    async def cut_after_drain(self) -> None:
        """End what still runs when the time to drain is over, naming it in the log."""
        await self._draining.wait()
        await trio.sleep(self.service.config.server.drain_timeout_seconds)
        for exchange in list(self.app.exchanges):
            log.warning("cut at the end of the drain", exchange=exchange.id, path=exchange.path)
            exchange.cancel("Octoroute is shutting down")

    async def reload(self) -> admin.Reloaded | admin.Refused:
        """Read the configuration again. A valid one takes effect at once; with another one all stays as it was."""
        if self._load is None:
            return self._refused(["there is no configuration file to reload"])
        async with self._reloading:
            systemd.reloading()
            try:
                config = await trio.to_thread.run_sync(self._load)
                if self.service.draining:
                    return self._refused(["the daemon is stopping"])
                return await self.apply(config)
            except ConfigError as error:
                return self._refused(list(error.problems))
            except Exception as error:  # what runs goes on, whatever a reload ran into
                log.error("defect in a reload", exc_info=error)
                return admin.Refused(["Octoroute ran into a defect of its own; its log has the details."])
            finally:
                if not self.service.draining:
                    systemd.ready(self.summary())

    def _refused(self, problems: list[str]) -> admin.Refused:
        log.error("not reloaded: the old configuration stays", problems=problems)
        return admin.Refused(problems)

    async def apply(self, config: Config) -> admin.Reloaded:
        """Serve new requests under `config`; those under way keep what they have."""
        old, service = self.service.config, self.service
        retired = [endpoint.upstream for endpoint in service.fleet]
        fleet = Fleet(config, publish=self.publish, previous=service.fleet)
        service.router = router_for(config.routing, fleet, self.publish, previous=service.router)
        service.config, service.fleet = config, fleet
        self.app.keys = Keys(config.auth)
        fleet.dispatch()
        changed = changes(old, config)
        log.info("reloaded", changes=changed)
        waiting = [f"server.{key}" for key in needs_restart(self._bound, config.server)]
        if waiting:
            log.warning("changed, but only a restart applies it", keys=waiting)
        for upstream in retired:
            await upstream.aclose()  # idle connections; those in use end with their requests
        await service.monitor.sweep()
        return admin.Reloaded(changed, waiting)

    async def obey(self, command: admin.Command) -> admin.Answer:
        """Do what the admin socket is asked for."""
        fleet = self.service.fleet
        match command:
            case admin.ReportStatus():
                return self.status()
            case admin.Reload():
                return await self.reload()
            case admin.Drain(name) | admin.Enable(name):
                drained = isinstance(command, admin.Drain)
                try:
                    endpoints = fleet.set_drained(name, drained=drained)
                except NoSuchEndpoint as error:
                    return admin.Refused([str(error)])
                log.info("drained" if drained else "enabled", endpoints=[e.id for e in endpoints])
                return admin.Changed([endpoint.report(trio.current_time()) for endpoint in endpoints])

    def status(self) -> admin.Status:
        """What there is to tell."""
        now, fleet = trio.current_time(), self.service.fleet
        return admin.Status(
            version=__version__,
            pid=os.getpid(),
            url=self.url,
            uptime_seconds=round(now - self.started, 1),
            draining=self.service.draining,
            strategy=self.service.config.routing.strategy,
            running=len(self.app.exchanges),
            waiting=sum(admission.waiting for admission in fleet.admission.values()),
            endpoints=[endpoint.report(now) for endpoint in fleet],
        )

    def summary(self) -> str:
        """The same in one line."""
        if self.service.draining:
            return f"Draining: {len(self.app.exchanges)} requests still run"
        endpoints = list(self.service.fleet)
        answering = sum(endpoint.is_healthy and not endpoint.health.failures for endpoint in endpoints)
        return f"Listening on {self.url}; {answering} of {len(endpoints)} endpoints answer"

    async def watch_signals(self) -> None:
        """Obey signals until cancelled."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                await self._obey(signals, nursery)

    async def _obey(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        told_to_stop = -math.inf
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                nursery.start_soon(self.reload, name="reload")  # a signal to stop need not wait for it
            elif not self._draining.is_set():
                told_to_stop = trio.current_time()
                self.drain(name)
            elif trio.current_time() - told_to_stop > SAME_SIGNAL_SECONDS:
                log.warning(
                    "stopped at once", signal=name, cut=[exchange.id for exchange in self.app.exchanges]
                )
                sys.stderr.flush()
                os._exit(EXIT_STOPPED_HARD)


def build(config: Config) -> tuple[Service, Publish]:
    """Everything that serves under `config`, put together by hand."""
    metrics = Metrics(__version__)
    publish = fan_out(metrics.on_event, logs.on_event, lambda event: monitor.on_event(event))  # noqa: PLW0108  # made below
    fleet = Fleet(config, publish=publish)

    def crashed(error: Exception, pause: float) -> None:
        publish(MonitorFailed(repr(error), pause))

    monitor = Monitor(lambda: service.fleet, lambda: service.config.health, publish)
    service = Service(
        config=config,
        fleet=fleet,
        router=router_for(config.routing, fleet, publish),
        metrics=metrics,
        monitor=monitor,
        supervisor=Supervisor(monitor.run, crashed),
    )
    metrics.watch(lambda: service.fleet.state())  # noqa: PLW0108  # a reload replaces the fleet
    return service, publish


def spare_garbage_collector() -> None:
    """Keep full collections away from what lives as long as the daemon.

    A full collection looks at every object: over the 100,000 of the libraries that takes 60 ms, in which
    every stream stands still, every few seconds. What is here now stays, so it is not looked at again.
    """
    gc.collect()
    gc.freeze()
    # By default every 700th new object starts a collection: one for every request, of what it is about to free.
    gc.set_threshold(10_000, 10, 10)


def reachable_url(config: Config, port: int) -> str:
    """An address that works from this machine."""
    host = config.server.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared with, not bound to
        host = "localhost"
    scheme = "https" if config.server.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def start_message(daemon: Daemon, results: dict[str, ProbeResult]) -> str:
    """Where it listens, which endpoints answered, where the metrics are."""
    lines = [
        f"Octoroute {__version__} listens on {daemon.url} ([server] host = {daemon.service.config.server.host})"
    ]
    for endpoint in daemon.service.fleet:
        result = results.get(endpoint.id)
        state = "not probed" if result is None else "answers" if result.error_type is None else result.detail
        lines.append(f"  {endpoint.tier:<9} {endpoint.id}  {endpoint.settings.base_url}  {state}")
    lines.append(f'  OpenAI API: {daemon.url}/v1 (model "auto"); metrics: {daemon.url}/metrics')
    return "\n".join(lines)
