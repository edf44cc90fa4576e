"""Read a request up to the size that the site accepts, and refuse a head that two programs could parse differently."""

from io import BytesIO
from typing import IO, Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import RequestEntityTooLarge

_MOST_DISCARDED = 8 * 1024 * 1024  # bytes of a refused body that are read and thrown away


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request that is being received.

    A body that is too large is discarded while it arrives. The application then answers with its own page, without the
    body: a client, or a proxy that streams bodies, reads nothing before it has sent everything. A body above a second,
    higher limit ends the request at once, and the connection closes after the response.
    """

    body_rcv: Any
    is_refused = False
    overloaded = False  # True if the body was refused because too many others were arriving

    def received(self, data: bytes) -> int:
        """Read a part of the request and return the number of bytes that belong to it."""
        consumed: int = super().received(data)
        if self.body_rcv is None:
            self.expect_continue = False  # or a request without a body would wait for one forever
        if isinstance(self.error, RequestEntityTooLarge):
            self.refuse_body()
        return consumed

    def refuse_body(self, *, overloaded: bool = False) -> None:
        """Discard the body, including all further bytes."""
        if not self.is_refused:
            self.is_refused = True
            self.overloaded = overloaded
            self.close()
            self.body_rcv.buf = _Nowhere(self.body_bytes_received)
        self.error = self.body_rcv.error
        self.completed = bool(self.error or self.body_rcv.completed)
        is_endless = max(self.content_length, self.body_bytes_received) > _MOST_DISCARDED
        if not self.completed and (is_endless or self.expect_continue):
            self.completed = True
            self.expect_continue = False
            self.headers["CONNECTION"] = "close"
        if self.completed and self.chunked:
            self.headers["CONTENT_LENGTH"] = str(self.body_bytes_received)

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head. Raise ParsingError if it is malformed or ambiguous (RFC 9112, section 6)."""
        try:
            super().parse_header(header_plus)
        except ValueError:  # from int() for thousands of digits, from urlsplit() for a malformed address
            raise ParsingError("The request line or Content-Length is invalid") from None
        headers: dict[str, Any] = self.headers
        if self.chunked and "CONTENT_LENGTH" in headers:
            raise ParsingError("Content-Length and Transfer-Encoding contradict each other")
        if "TRANSFER_ENCODING" in headers:  # waitress has read and removed it in HTTP/1.1
            raise ParsingError("This version of HTTP has no Transfer-Encoding")


class _Nowhere:
    """A buffer that stores only its length."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        self._length += len(data)

    def getfile(self) -> IO[bytes]:
        return BytesIO()

    def close(self) -> None:
        """Do nothing, because nothing is open."""
