"""A technician: decides and looks by REST, and lets devices come back by the page's form."""

import re

import httpx

from tests.gateway_process import ADMIN, GatewayProcess

from .harness import wait_until


class Technician:
    """One module in view; works on after the gateway was killed and started again."""

    def __init__(self, gateway: GatewayProcess, api: httpx.Client, module_id: str) -> None:
        self._api = api
        self._browser = httpx.Client(base_url=gateway.url, follow_redirects=True, timeout=30)
        self._place = f"/modules/{module_id}"
        self._post("/login", "/login", username=ADMIN, password=gateway.password)

    def close(self) -> None:
        self._browser.close()

    def ask(self, path: str = "", **query: object) -> dict:
        answer = self._api.get(self._place + path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def tell(self, path: str, **body: object) -> dict:
        answer = self._api.post(self._place + path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}

    def approve(self) -> None:
        wait_until(lambda: self._api.get(self._place).is_success, "the module in the registry")
        self.tell("/approve")

    def reading(self, key: str) -> object:
        return self.ask()["telemetry"].get(key)

    def history(self, key: str, start_ms: float = 0) -> list[tuple[int, int]]:
        """Every reading since then as (time, value), oldest first."""
        items = self.ask("/telemetry", key=key, limit=10000, **{"from": int(start_ms)})["items"]
        return [(item["ts"], int(item["value"])) for item in items]

    def command(self, name: str, **params: object) -> str:
        return self.tell("/commands", command=name, params=params)["id"]

    def done(self, command_id: str) -> dict:
        """Wait until the command has ended well; what the gateway knows of it."""

        def ended() -> dict | None:
            command = self.ask(f"/commands/{command_id}")
            return command if command["status"] not in ("queued", "sent", "accepted") else None

        command = wait_until(ended, f"the end of command {command_id}")
        assert command["status"] == "done", command
        return command

    def claims(self) -> list[str]:
        """The re-enrolments in the waiting room."""
        return re.findall(r'action="(/waiting/claims/\d+)"', self._page("/waiting"))

    def approve_claim(self, claim: str) -> None:
        self._post("/waiting", claim, decision="approve")

    def _page(self, path: str) -> str:
        answer = self._browser.get(path)
        assert answer.is_success, f"{path}: {answer.status_code}"
        return answer.text

    def _post(self, page: str, path: str, **fields: str) -> None:
        """Send a form of a page, with the page's own token."""
        token = re.search(r'name="csrf" value="([^"]+)"', self._page(page)).group(1)
        answer = self._browser.post(path, data={"csrf": token, **fields})
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:2000]}"
