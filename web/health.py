"""`/healthz` (the process answers), `/readyz` (it can do its work) and `/metrics` (Prometheus)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.core.core import Core
from gateway.core.errors import Unavailable
from gateway.storage.models import SettingRow
from web.site import Site
from web.wording import STATUS_WORDS


class Figures(Collector):
    """The house in numbers, read when asked for; no label ever names a module or a person."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def collect(self) -> Iterable[Metric]:
        core = self._site.core
        modules = GaugeMetricFamily("passerelle_modules", "Modules by status.", labels=["status"])
        counted = Counter(core.status(module) for module in core.registry.all())
        for status in STATUS_WORDS:
            modules.add_metric([status], counted[status])
        yield modules
        yield GaugeMetricFamily(
            "passerelle_waiting", "Newcomers and re-enrolments that wait.", core.registry.waiting()
        )
        yield GaugeMetricFamily("passerelle_users", "User accounts.", len(core.accounts.people.all()))
        yield from self._of_telemetry()
        yield CounterMetricFamily(
            "passerelle_listener_failures", "Event listeners that failed.", core.hub.failures
        )
        if core.audit.lines_waiting is not None:
            yield GaugeMetricFamily(
                "passerelle_audit_lines_waiting",
                "Audit rows that their receiver has not got.",
                core.audit.lines_waiting,
            )
        if certificate := self._site.roof.certificates.current:
            yield GaugeMetricFamily(
                "passerelle_certificate_ends_seconds",
                "When the certificate ends, in seconds since 1970.",
                certificate.ends_at_ms / 1000,
            )
        yield from self._of_updates()
        yield from self._of_alerts()
        for name, count in self._site.roof.mqtt_counts().items():
            what = f"MQTT: {name.replace('_', ' ')}."
            yield UnknownMetricFamily(f"passerelle_mqtt_{name}", what, count)

    def _of_telemetry(self) -> Iterable[Metric]:
        core = self._site.core
        yield CounterMetricFamily(
            "passerelle_telemetry_received", "Telemetry messages taken.", core.telemetry.received
        )
        yield CounterMetricFamily(
            "passerelle_telemetry_set_aside",
            "Readings that did not fit and were set aside.",
            core.telemetry.set_aside.total(),
        )
        yield CounterMetricFamily(
            "passerelle_telemetry_not_kept",
            "Readings that were shown and not recorded, for want of disk.",
            core.telemetry.not_kept,
        )

    def _of_alerts(self) -> Iterable[Metric]:
        alerting = self._site.core.alerting
        waiting = (len(alerting.post.deliveries.of(channel.id)) for channel in alerting.channels.all())
        yield GaugeMetricFamily("passerelle_alerts_open", "Alerts that are open.", alerting.book.count)
        yield GaugeMetricFamily(
            "passerelle_notifications_waiting", "News of alerts that channels have not taken.", sum(waiting)
        )
        yield CounterMetricFamily(
            "passerelle_notifications_dropped",
            "News of alerts that was given up, too much or too old.",
            sum(channel.dropped for channel in alerting.channels.all()),
        )

    def _of_updates(self) -> Iterable[Metric]:
        firmware, downloads = self._site.firmware, self._site.downloads
        yield GaugeMetricFamily(
            "passerelle_updates_under_way", "Modules at work on an update.", firmware.ledger.under_way()
        )
        yield GaugeMetricFamily("passerelle_downloads", "Images being fetched over HTTP.", len(downloads))
        yield CounterMetricFamily(
            "passerelle_downloads_refused", "Downloads for which there was no place.", downloads.refused
        )
        yield CounterMetricFamily(
            "passerelle_image_requests_refused",
            "Requests for images that were not the module's to fetch, or could not be read.",
            firmware.offers.refused.total(),
        )


def routes(site: Site) -> list[Route]:
    figures = CollectorRegistry()
    figures.register(Figures(site))

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(figures), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", _alive, methods=["GET"]),
        Route("/readyz", _ready(site.core), methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


async def _alive(request: Request) -> Response:
    return PlainTextResponse("ok")


def _ready(core: Core) -> Callable[[Request], Awaitable[Response]]:
    async def ready(request: Request) -> Response:
        """Whether the database answers."""
        try:
            await core.store.read(lambda: SettingRow.select().limit(1).count())
        except Unavailable as error:
            return JSONResponse({"status": "unavailable", "database": error.message}, 503)
        return JSONResponse({"status": "ready", "database": "ok", "history": core.keeping.health.state})

    return ready
