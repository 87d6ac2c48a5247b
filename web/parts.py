"""The parts of a form with one file, checked as the multipart parser tells them."""

from collections.abc import Collection

from python_multipart.multipart import parse_options_header

from gateway.core.errors import Invalid
from web import csrf

FILE = "file"
MAX_PARTS = 20
MAX_FIELD = 8 * 1024
_PLAIN = frozenset({b"", b"binary", b"8bit", b"7bit"})


class Parts:
    """`token`: what the field `csrf` must hold before the file may come; None when nothing is asked.

    The name that a file has at home is nothing to us and is not kept.
    """

    def __init__(self, allow_fields: Collection[str], token: str | None = None) -> None:
        self.fields: dict[str, str] = {}
        self.has_file = False
        self.ended = False
        self._allowed = frozenset(allow_fields)
        self._token = token
        self._given: str | None = None
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name = ""
        self._field = bytearray()
        self._file: list[bytes] = []

    def take(self) -> list[bytes]:
        """What has come of the file since the last time."""
        taken, self._file = self._file, []
        return taken

    def begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise Invalid("The form has more than %(max_parts)s parts.", max_parts=MAX_PARTS)
        self._headers = {}
        self._field.clear()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name", b""), "The name of a part")
        if self._name == FILE:
            self._begin_file()
        elif self._name not in self._allowed | {csrf.FIELD}:
            raise Invalid("The form has a part that nobody asked for, %(name)r.", name=self._name[:64])
        elif b"filename" in options:
            raise Invalid("%(name)s is no file; only %(file)r is.", name=self._name, file=FILE)
        elif self._name in self.fields or (self._name == csrf.FIELD and self._given is not None):
            raise Invalid("%(name)s is in the form twice.", name=self._name)

    def _begin_file(self) -> None:
        if self.has_file:
            raise Invalid("The form has two files; an upload is one image.")
        if self._token is not None:
            csrf.check_token(self._token, self._given)
        if self._headers.get(b"content-transfer-encoding", b"").strip().lower() not in _PLAIN:
            raise Invalid("The file must come as it is, without a transfer encoding.")
        self.has_file = True

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._file.append(data[start:end])
            return
        if len(self._field) + end - start > MAX_FIELD:
            raise Invalid(
                "%(name)s is longer than %(max_field)s bytes.", name=self._name, max_field=MAX_FIELD
            )
        self._field += data[start:end]

    def end(self) -> None:
        if self._name == csrf.FIELD:
            self._given = _text(bytes(self._field), csrf.FIELD)
        elif self._name != FILE:
            self.fields[self._name] = _text(bytes(self._field), self._name)

    def finish(self) -> None:
        self.ended = True


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Invalid("%(what)s is not UTF-8 text.", what=what) from None
