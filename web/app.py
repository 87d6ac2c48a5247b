"""The web as one Starlette application, made of tables of routes."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from firmware.house import Firmware
from gateway.core.core import Core
from web import api, authority, devicelimits, devices, documented, download, health, instance, pages
from web.failures import handlers
from web.headers import HSTS, SecurityHeaders
from web.listening import Listening
from web.origins import Origins
from web.pages.table import routes as page_routes
from web.render import HERE
from web.site import Roof, make_site


class Number(IntegerConvertor):
    """A number in a path: one with more digits than any of ours is no page of ours, and no fault either."""

    regex = "[0-9]{1,18}"


register_url_convertor("int", Number())


class OurFiles(StaticFiles):
    """Our own scripts and styles: kept by browsers, but asked for anew, so that an upgrade shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    core: Core,
    firmware: Firmware,
    *,
    mounts: Sequence[BaseRoute] = (),
    roof: Roof | None = None,
) -> Starlette:
    """The pages, forms, REST and the devices' HTTP door over `core` and `firmware`.

    `mounts` are routes of the roof; `roof` is what it lends to pages.
    """
    site = make_site(core, firmware, roof)
    return Starlette(
        routes=[
            *mounts,
            *devices.routes(site),
            *devicelimits.routes(site),
            *documented.routes(site),
            *instance.routes(site),
            *download.routes(site),
            *health.routes(site),
            *authority.routes(site),
            *api.routes(site),
            *page_routes(site, pages.PAGES),
            Mount("/static", OurFiles(directory=HERE / "static")),
        ],
        middleware=[
            Middleware(SecurityHeaders, hsts=lambda: core.choices.is_on(HSTS)),
            Middleware(Listening, core=core),
            Middleware(Origins),
        ],
        exception_handlers=handlers(site),
    )
