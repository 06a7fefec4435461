"""Where Redis is, as a URL says it: everything is checked before a connection is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from typing import TypeAlias

    Kind: TypeAlias = Literal["single", "sentinel", "cluster"]

__all__ = ("Address", "Target", "Tls", "parse_url")

SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379


class Address(NamedTuple):
    """A server: a host and a port, or the path of a Unix socket (`port` is 0 then)."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is encrypted.

    Attributes:
        ca_certs: file of the certificates that are trusted; None: those of the system.
        certfile: file of the client's certificate, if the server asks for one.
        keyfile: file of its key.
        verify: whether the server's certificate is checked; a connection without that is open to whoever is between.
        check_hostname: whether the certificate must be for the host that is connected to.
    """

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says.

    Attributes:
        kind: one server, the primary that sentinels name, or a cluster.
        addresses: of the server, of the sentinels, or of some nodes of the cluster.
        db: number of the database.
        service: what sentinels call the primary.
        tls: None for a connection that is not encrypted.
        username: of the ACL user, if one is named.
        password: theirs.
        sentinel_username: the same for the sentinels.
        sentinel_password: theirs.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    db: int = 0
    service: str = ""
    tls: Tls | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Show where it is, without who connects: this goes into logs."""
        where = ",".join(map(str, self.addresses))
        if not self.addresses[0].port:
            return f"unix://{where}"
        scheme = "rediss" if self.tls else "redis"
        kind = "" if self.kind == "single" else f"+{self.kind}"
        service = f"/{self.service}" if self.service else ""
        return f"{scheme}{kind}://{where}{service}"


def parse_url(url: str, *, tls: Tls | None = None) -> Target:
    """Return what `url` says.

    Args:
        url: `redis://[user[:password]@]host[:port][/db]`, the same with `rediss` for TLS,
            `unix://[user[:password]@]/path[?db=0]`, `redis+sentinel://host[:port],.../service[/db]` or
            `redis+cluster://host[:port],...`; `rediss+sentinel` and `rediss+cluster` use TLS.
        tls: overrides the options of the URL; only with a scheme that uses TLS.

    Raises:
        ConfigError: it cannot be used; the message says which part, and what is allowed.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        # What Python says about it may quote the password.
        raise ConfigError("redis url is malformed: brackets do not match, or its host has odd characters") from None
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"redis url has scheme {parts.scheme!r}; allowed are {', '.join(SCHEMES)}")
    encrypted = parts.scheme.startswith("rediss")
    _, _, flavor = parts.scheme.partition("+")
    options = _options(parts.query, encrypted=encrypted, unix=parts.scheme == "unix", sentinel=flavor == "sentinel")
    if encrypted:
        tls = tls or _tls(options)
    elif tls is not None:
        raise ConfigError(f"tls options need a scheme that uses TLS, not {parts.scheme!r}")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, password = (unquote(part) or None for part in userinfo.partition(":")[::2])
    if username and not password:
        raise ConfigError("redis url names a user without a password; write user:password@ or :password@")
    if parts.scheme == "unix":
        if hosts or len(parts.path) < 2:
            raise ConfigError(f"redis url of a Unix socket has no absolute path: unix://{hosts}{parts.path}")
        return Target(
            "single",
            (Address(unquote(parts.path), 0),),
            _db(options.get("db", "")),
            username=username,
            password=password,
        )
    path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
    if flavor == "sentinel":
        if not 1 <= len(path) <= 2:
            raise ConfigError("redis url of sentinels must be redis+sentinel://host[:port],.../service[/db]")
        return Target(
            "sentinel",
            _addresses(hosts, SENTINEL_PORT),
            _db(path[1] if len(path) == 2 else options.get("db", "")),
            path[0],
            tls,
            username,
            password,
            options.get("sentinel_username"),
            options.get("sentinel_password"),
        )
    if len(path) > 1:
        raise ConfigError(f"redis url has path {parts.path!r}; allowed is the number of a database")
    db = _db(path[0] if path else options.get("db", ""))
    addresses = _addresses(hosts, REDIS_PORT)
    if flavor == "cluster":
        if db:
            raise ConfigError(f"redis url names database {db}; a cluster has only 0")
        return Target("cluster", addresses, tls=tls, username=username, password=password)
    if len(addresses) > 1:
        raise ConfigError("redis url names several hosts; that needs redis+sentinel:// or redis+cluster://")
    return Target("single", addresses, db, tls=tls, username=username, password=password)


def _options(query: str, *, encrypted: bool, unix: bool, sentinel: bool) -> dict[str, str]:
    allowed = ["db"] if unix or not encrypted else ["db", *TLS_OPTIONS]
    if sentinel:
        allowed += SENTINEL_OPTIONS
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in allowed:
            raise ConfigError(f"redis url has option {name!r}; allowed are {', '.join(allowed)}")
    return options


def _tls(options: dict[str, str]) -> Tls:
    requirement = options.get("ssl_cert_reqs", "required")
    if requirement not in ("required", "none"):
        raise ConfigError(f"redis url has ssl_cert_reqs {requirement!r}; allowed are required, none")
    hostname = options.get("ssl_check_hostname", "true").lower()
    if hostname not in ("true", "false"):
        raise ConfigError(f"redis url has ssl_check_hostname {hostname!r}; allowed are true, false")
    verify = requirement == "required"
    return Tls(
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
        verify=verify,
        check_hostname=verify and hostname == "true",
    )


def _db(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"redis url has database {text!r}; it must be a number >= 0")
    return int(text)


def _addresses(hosts: str, default_port: int) -> tuple[Address, ...]:
    return tuple(_address(host, default_port) for host in hosts.split(","))


def _address(text: str, default_port: int) -> Address:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigError(f"redis url has host {text!r}; an IPv6 address is written [address]:port")
        port = rest[1:]
    else:
        host, colon, port = text.partition(":")
        if colon and not port:
            raise ConfigError(f"redis url has host {text!r} with an empty port")
    if not host:
        raise ConfigError("redis url names no host")
    if not port:
        return Address(host, default_port)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"redis url has port {port!r}; allowed are 1 to 65535")
    return Address(host, int(port))
