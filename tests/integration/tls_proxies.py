"""Proxies with TLS before nginx, run with the very recipes of DEPLOYMENT.md."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.integration.front_servers import AS_ROOT, find_program
from tests.support.programs import ROOT, run_logged_program
from tests.support.redis_servers import create_certificates

CADDY_OPTIONS = """{
    admin off
    auto_https disable_redirects
    default_bind 127.0.0.1
    servers {
        protocols h1 h2
    }
}
"""
TEMPORARY_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class TlsProxy:
    """A running proxy."""

    url: str
    tls: ssl.SSLContext

    def create_client(self, address: str) -> httpx.Client:
        """Return a client of the API with an address of its own, of this machine's 127.0.0.0/8."""
        transport = httpx.HTTPTransport(verify=self.tls, local_address=address)
        return httpx.Client(base_url=f"{self.url}/api", transport=transport, timeout=30, trust_env=False)

    def is_ready(self) -> bool:
        """Whether the gateway is reached through it."""
        with self.create_client("127.0.0.9") as client:
            try:
                return client.get("/readyz").is_success
            except httpx.TransportError:
                return False


def read_recipe(language: str, **changes: str) -> str:
    """Return a recipe of the documentation, with the addresses and files of a test in place of the recipe's own."""
    text = (ROOT / "deploy" / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8")
    recipe = text.split("\n## Behind a proxy\n")[1].split("\n## ")[0].split(f"```{language}\n")[1].split("```")[0]
    for old, new in changes.items():
        assert old in recipe
        recipe = recipe.replace(old, new)
    return recipe


@contextmanager
def run_caddy(front: str, folder: Path) -> Iterator[TlsProxy]:
    """Run Caddy before nginx."""
    authority, port = create_certificates(folder), free_port()
    site = f"https://127.0.0.1:{port} {{\n    tls {folder}/server.pem {folder}/server.key"
    recipe = read_recipe("caddyfile", **{"photos.example {": site, "127.0.0.1:8000": _host_and_port(front)})
    config = folder / "Caddyfile"
    config.write_text(CADDY_OPTIONS + recipe, encoding="utf-8")
    command = (find_program("caddy"), "run", "--config", str(config), "--adapter", "caddyfile")
    with _running(port, authority, *command, folder=folder, HOME=str(folder), XDG_DATA_HOME="") as proxy:
        yield proxy


@contextmanager
def run_tls_nginx(front: str, folder: Path) -> Iterator[TlsProxy]:
    """Run a second nginx before nginx."""
    authority, port = create_certificates(folder), free_port()
    changes = {"/etc/ssl/photos.example.pem": "server.pem", "/etc/ssl/photos.example.key": "server.key"}
    changes |= {"listen 443 ": f"listen 127.0.0.1:{port} ", "127.0.0.1:8000": _host_and_port(front)}
    paths = "".join(f"{name}_temp_path {name};" for name in TEMPORARY_FOLDERS)
    main = f"pid nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off; {paths}\n"
    config = folder / "nginx.conf"
    config.write_text(f"{main}{read_recipe('nginx', **changes)}}}\n", encoding="utf-8")
    command = (find_program("nginx"), "-p", str(folder), "-c", str(config), "-g", f"daemon off; {AS_ROOT}")
    with _running(port, authority, *command, folder=folder) as proxy:
        yield proxy


@contextmanager
def _running(port: int, authority: Path, *command: str, folder: Path, **environment: str) -> Iterator[TlsProxy]:
    proxy = TlsProxy(f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=str(authority)))
    log = folder / "log"
    with run_logged_program(*command, log=log, **environment) as process:
        wait_until(lambda: proxy.is_ready() or process.poll() is not None, "the proxy")
        assert process.poll() is None, log.read_text()
        yield proxy


def _host_and_port(url: str) -> str:
    return re.sub("^http://", "", url)
