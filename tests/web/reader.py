"""Reading pages as a browser without JavaScript does: forms with their fields, links, visible text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"input", "meta", "link", "img", "br", "use", "hr", "path"}


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, **values: str | list[str]) -> dict[str, str | list[str]]:
        """What is sent when these fields are filled in; the others as the page has them."""
        return {name: found if len(found) > 1 else found[0] for name, found in self.fields.items()} | values


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.notices: list[str] = []
        self.texts: list[str] = []
        self._stack: list[tuple[str, dict[str, str]]] = []
        self._select = ""
        self.feed(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def notice(self) -> str:
        return " ".join(" ".join(self.notices).split())

    def form(self, action: str) -> Form:
        found = [form for form in self.forms if form.action == action]
        assert found, f"no form for {action}, only {sorted({form.action for form in self.forms})}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        self.elements.append((tag, at))
        if tag not in VOID:
            self._stack.append((tag, at))
        if tag == "form":
            self.forms.append(Form(at["action"], at.get("method", "get")))
        elif self.forms and any(name == "form" for name, _ in self._stack):
            self._field(self.forms[-1], tag, at)

    def _field(self, form: Form, tag: str, at: dict[str, str]) -> None:
        if tag == "select":
            self._select = at["name"]
        elif tag == "option":
            known = form.fields.setdefault(self._select, [at.get("value", "")])
            if "selected" in at:
                known[:] = [at.get("value", "")]
        elif tag == "button" and "name" in at:
            form.buttons.append((at["name"], at.get("value", "")))
        elif tag == "input" and at.get("type") in ("checkbox", "radio"):
            if "checked" in at:
                form.fields.setdefault(at["name"], []).append(at.get("value", "on"))
        elif tag in ("input", "textarea"):
            form.fields.setdefault(at["name"], []).append(at.get("value", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._stack and self._stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if any("data-notice" in at for _, at in self._stack):
            self.notices.append(data)
