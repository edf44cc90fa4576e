"""Serve the static files from memory, compressed, and under names that change with their content."""

import gzip
import posixpath
import re
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

import brotli
from flask import Flask, abort, current_app, request, url_for
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

_TEXTS = {".css": "text/css", ".js": "text/javascript", ".md": "text/markdown", ".svg": "image/svg+xml"}
_TYPES = {**_TEXTS, ".png": "image/png"}
_WORTHWHILE = 0.95  # of the size; a compressed form that is not smaller is not used
_HASHED = re.compile(r"(?P<stem>.+)\.(?P<version>[0-9a-f]{12})(?P<suffix>\.\w+)")
_IMPORT = re.compile(r"^@import \"(\.[^\"]+)\";\n", re.MULTILINE)
# The files that a file names: in a stylesheet in url(…), in a script at the end of an import.
_REFERENCES = {
    ".css": re.compile(r"(\burl\(\s*[\"']?)(?!data:|#)([^\"')\s]+)"),
    ".js": re.compile(r"(^(?:import|export)\b[^;\"'()]*\")(\.[^\"]+)", re.MULTILINE),
}
# A file that is opened by itself may do nothing. Scripts and styles follow the policy of the page that uses them.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_Answer = TypeVar("_Answer", bound=Response)
_Environment = dict[str, Any]
_Application = Callable[[_Environment, Any], Iterable[bytes]]


class StaticFile:
    """A file in memory. Each compressed form is made once in a process, when it is first asked for."""

    def __init__(self, name: str, content: bytes) -> None:
        path = PurePosixPath(name)
        self.content = content
        self.version = sha256(content).hexdigest()[:12]
        self.hashed_name = str(path.with_name(f"{path.stem}.{self.version}{path.suffix}"))
        self._media_type = _TYPES.get(path.suffix, "application/octet-stream")
        self._is_text = path.suffix in _TEXTS

    def respond(self, environ: _Environment, *, immutable: bool) -> Response:
        """Return it in the best encoding that the client accepts, or 304 if the client has it already."""
        encoding, content = self._encoded(environ.get("HTTP_ACCEPT_ENCODING", ""))
        response = Response(content, mimetype=self._media_type, headers=_HEADERS)
        response.headers["Cache-Control"] = cache_control(immutable=immutable)
        if encoding:
            response.headers["Content-Encoding"] = encoding
        if self._is_text:
            response.vary.add("Accept-Encoding")
        response.set_etag(f"{self.version}-{encoding}" if encoding else self.version)
        return response.make_conditional(environ)

    def _encoded(self, accepted: str) -> tuple[str, bytes]:
        if self._is_text:
            accepts = parse_accept_header(accepted, Accept)
            if accepts.quality("br") > 0 and self._brotli:
                return "br", self._brotli
            if accepts.quality("gzip") > 0 and self._gzip:
                return "gzip", self._gzip
        return "", self.content

    @cached_property
    def _brotli(self) -> bytes:
        return self._if_smaller(brotli.compress(self.content))

    @cached_property
    def _gzip(self) -> bytes:
        return self._if_smaller(gzip.compress(self.content, mtime=0))

    def _if_smaller(self, compressed: bytes) -> bytes:
        return compressed if len(compressed) < _WORTHWHILE * len(self.content) else b""


class StaticFolder:
    """The files of a folder by name, as they are when the process first needs one."""

    def __init__(self, root: Path) -> None:
        self._sources = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
        self._files: dict[tuple[str, str], StaticFile] = {}

    def get(self, name: str, prefix: str = "") -> StaticFile | None:
        """Return the file with this name, without a hash, or None.

        Addresses in the file are relative, or begin with the prefix, for a file that is served under another path.
        """
        if name not in self._sources:
            return None
        if (name, prefix) not in self._files:
            self._files[name, prefix] = StaticFile(name, self._content(name, prefix))
        return self._files[name, prefix]

    def find(self, asked: str) -> tuple[StaticFile | None, bool]:
        """Return the file for a name with or without a hash, and whether the hash is the current one."""
        if match := _HASHED.fullmatch(asked):
            file = self.get(match["stem"] + match["suffix"])
            return file, file is not None and file.version == match["version"]
        return self.get(asked), False

    def _content(self, name: str, prefix: str) -> bytes:
        pattern = _REFERENCES.get(PurePosixPath(name).suffix)
        if not pattern:
            return self._sources[name]
        folder_name = posixpath.dirname(name)

        def named(address: str) -> StaticFile:
            # The other file comes first, because its name contains the hash of its content.
            if other := self.get(posixpath.normpath(posixpath.join(folder_name, address))):
                return other
            raise FileNotFoundError(f"static/{name} names {address}, which does not exist.")

        def with_hash(match: re.Match[str]) -> str:
            hashed_name = named(match[2]).hashed_name
            if prefix:
                return match[1] + prefix + hashed_name
            path = posixpath.relpath(hashed_name, folder_name or ".")
            return match[1] + (path if path.startswith(".") else f"./{path}")

        text = pattern.sub(with_hash, self._sources[name].decode())
        # A stylesheet contains those of its folder that it imports: the browser would ask for one after the other.
        return _IMPORT.sub(lambda match: named(match[1]).content.decode(), text).encode()


def init_app(app: Flask) -> None:
    """Give static files their hashed addresses in url_for, and answer requests for them before the application does."""
    application, root, prefix = app.wsgi_app, Path(str(app.static_folder)), f"{app.static_url_path}/"

    def serve(environ: _Environment, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(prefix) and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            file, is_current = folder(root).find(path.removeprefix(prefix))
            if file:
                return file.respond(environ, immutable=is_current)(environ, start_response)
        return application(environ, start_response)

    def name_by_hash(endpoint: str, values: dict[str, Any]) -> None:
        file = folder(root).get(values.get("filename", "")) if endpoint == "static" else None
        if file:
            values["filename"] = file.hashed_name

    app.wsgi_app = serve  # type: ignore[method-assign]
    app.view_functions["static"] = _unknown  # Flask's own view would read the disk
    app.url_defaults(name_by_hash)


def _unknown(**_: str) -> NoReturn:
    abort(404)


def script(name: str) -> StaticFile:
    """Return a script that is served under another path, so the addresses of its modules are absolute.

    Raise KeyError if there is none.
    """
    found = folder(Path(str(current_app.static_folder))).get(name, url_for("static", filename=""))
    if not found:
        raise KeyError(name)
    return found


def for_other_sites(name: str) -> Response:
    """Return a script that pages of other sites may load, for an hour."""
    response = script(name).respond(request.environ, immutable=False)
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"  # browsers load modules from other sites only with this
    return response


def compressed(response: _Answer) -> _Answer:
    """Compress an answer if the client accepts that and it is worthwhile; only for texts without any secret.

    The size of a compressed text can reveal a secret in it, if somebody else can add to the text.
    """
    media_type = response.mimetype or ""
    if not media_type.startswith("text/") and not media_type.endswith("+xml"):
        return response
    response.vary.add("Accept-Encoding")
    content = response.get_data()
    smaller = gzip.compress(content, mtime=0) if request.accept_encodings.quality("gzip") > 0 else content
    if len(smaller) < _WORTHWHILE * len(content):
        response.set_data(smaller)
        response.headers["Content-Encoding"] = "gzip"
    return response


def cache_control(*, immutable: bool) -> str:
    """Return the header for an address that changes with its content, or for one that may answer differently later."""
    return "public, max-age=31536000, immutable" if immutable else "no-cache"


@cache
def folder(root: Path) -> StaticFolder:
    """Return the files of a folder, which are read once in a process."""
    return StaticFolder(root)
