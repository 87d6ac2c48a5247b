"""`/ca.pem`: the certificate of the gateway's own authority, for devices and browsers that shall trust it."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from web.site import Site


def routes(site: Site) -> list[Route]:
    async def ca(request: Request) -> Response:
        pem = site.roof.certificates.ca_pem()
        if pem is None:
            return PlainTextResponse("This gateway has no authority of its own.\n", 404)
        headers = {"Content-Disposition": 'attachment; filename="passerelle-ca.pem"'}
        return Response(pem, headers=headers, media_type="application/x-pem-file")

    return [Route("/ca.pem", ca, methods=["GET"])]
