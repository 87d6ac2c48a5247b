"""From a bare request to a visit: who is it, may he, and did he mean it."""

import base64
import binascii
from dataclasses import replace

from starlette.requests import Request

from gateway.core import audit
from gateway.core.errors import Forbidden, Unauthenticated
from gateway.core.rights import Service
from web import cookies, csrf
from web.access import Access, permits
from web.site import Site
from web.visit import Visit

MAX_FIELDS = 1000


def by_cookie(request: Request, site: Site) -> Visit:
    """The visit of whoever the session cookie proves, or of nobody."""
    found = site.core.accounts.sessions.find(request.cookies.get(cookies.SESSION))
    return Visit(request, site, *(found or (None, None)))


def by_credential(request: Request, site: Site) -> Visit:
    """As `by_cookie`, but an Authorization header comes first, and a wrong one is refused, not ignored."""
    header = request.headers.get("authorization")
    if header is None:
        return by_cookie(request, site)
    scheme, _, credential = header.partition(" ")
    if scheme.lower() == "bearer":
        return _by_bearer(request, site, credential.strip())
    if scheme.lower() == "basic":
        return Visit(request, site, None, _service(site, credential))
    raise Unauthenticated("Authorization takes a Bearer token, or Basic with a service account.")


def _by_bearer(request: Request, site: Site, token: str) -> Visit:
    """A person's access token, the token of a service account by itself, or one that a person made."""
    if found := site.core.accounts.sessions.verify(token):
        session, person = found
        return Visit(request, site, None, person, access=session)
    if service := site.core.services.by_token(token):
        return Visit(request, site, None, service)
    if found_token := site.core.accounts.tokens.verify(token):
        own, speaker = found_token
        if own.scope == "read" and request.method not in csrf.SAFE_METHODS:
            raise Forbidden("This token may read and nothing else.")
        return Visit(request, site, None, speaker)
    raise Unauthenticated("The access token is not valid (any more).")


def _service(site: Site, credential: str) -> Service:
    try:
        name, _, token = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthenticated("The Authorization header cannot be read.") from None
    service = site.core.services.authenticate(name, token)
    if service is None:
        raise Unauthenticated("Name or token of the service account is wrong.")
    return service


def check_access(visit: Visit, access: Access) -> None:
    if permits(access, visit.visitor):
        if visit.visitor is not None:
            audit.known_as(visit.visitor.name, visit.visitor.role)
        return
    if visit.visitor is None:
        raise Unauthenticated("Please log in first.")
    raise Forbidden("Your role does not allow this.")


async def with_form(visit: Visit, files: int = 0) -> Visit:
    """The visit with its form, and at most so many files in it.

    Raises `Forbidden` when the browser says that it comes from elsewhere.
    """
    csrf.check_origin(visit.request, visit.site.public_url)
    form = await visit.request.form(max_files=files, max_fields=MAX_FIELDS)
    return replace(visit, form=form)


def check_token(visit: Visit) -> None:
    """Raises `Forbidden` for a form that is not from a page of this very session."""
    given = visit.form.get(csrf.FIELD)
    csrf.check_token(_expected(visit), given if isinstance(given, str) else None)


def check_call(visit: Visit) -> None:
    """A call that a cookie vouches for must carry the session's token in its header."""
    if visit.session is not None and visit.request.method not in csrf.SAFE_METHODS:
        csrf.check_origin(visit.request, visit.site.public_url)
        csrf.check_token(visit.session.csrf, visit.request.headers.get(csrf.HEADER))


def _expected(visit: Visit) -> str:
    if visit.session is not None:
        return visit.session.csrf
    # Without the cookie no token can be right, so a random one is compared with.
    cookie = visit.request.cookies.get(csrf.VISITOR_COOKIE)
    return visit.site.visitors.token(cookie or visit.site.visitors.new_cookie())
