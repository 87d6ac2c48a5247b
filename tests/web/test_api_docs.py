"""The page of the REST interface, and the examples of the document."""

import re

import pytest
from pydantic import TypeAdapter

from tests.web.house import House
from web.api import OPERATIONS
from web.api.openapi import document, kind_of, path_of

pytestmark = pytest.mark.anyio
DOCUMENT = document(OPERATIONS)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: f"{row.method} {row.path}")
def test_every_example_is_one(anyio_backend: str, row) -> None:
    described = DOCUMENT["paths"][path_of(row)][row.method.lower()]
    if row.body is not None and not row.upload:
        TypeAdapter(row.body).validate_python(described["requestBody"]["content"][kind_of(row)]["example"])
    if row.reply is not None:
        reply = described["responses"][str(row.status)]["content"][row.media]
        TypeAdapter(row.reply).validate_python(reply["example"])
    for parameter in described["parameters"]:
        assert parameter["in"] in ("path", "query", "header") and parameter["schema"]


async def test_the_page_shows_every_call_with_a_command_to_try(house: House) -> None:
    for visitor in (house.anybody(), await house.browser("user")):
        page = await visitor.page("/api/docs")
        ids = {at["id"] for _, at in page.elements if "id" in at}
        for row in OPERATIONS:
            assert f"{row.method} {path_of(row)}" in page.text
            assert DOCUMENT["paths"][path_of(row)][row.method.lower()]["operationId"] in ids
        assert page.text.count("curl ") >= len(OPERATIONS)
        assert "'{" not in re.findall(r"curl[^|]*?https?://\S+", page.text)[0]
        links = {at["href"] for tag, at in page.elements if tag == "a" and at["href"].startswith("#tag-")}
        assert {link[1:] for link in links} <= ids


async def test_a_strange_host_is_text_on_the_page(house: House) -> None:
    reply = await house.anybody().http.get("/api/docs", headers={"host": "x\"><script>alert('1')</script>"})
    assert "<script>alert" not in reply.text


async def test_keys_headers_and_refusals_are_described(house: House) -> None:
    send = DOCUMENT["paths"]["/api/v1/modules/{id}/commands"]["post"]
    assert [p["name"] for p in send["parameters"] if p["in"] == "header"] == ["Idempotency-Key"]
    assert {"400", "401", "403", "404", "409", "413", "415", "422", "429", "503"} <= send["responses"].keys()
    assert {"Location", "Idempotent-Replayed"} == send["responses"]["202"]["headers"].keys()
    login = DOCUMENT["paths"]["/api/v1/auth/login"]["post"]
    assert login["security"] == [] and not login["parameters"]
    upload = DOCUMENT["paths"]["/api/v1/firmware"]["post"]
    assert not upload["parameters"] and "422" not in upload["responses"]
