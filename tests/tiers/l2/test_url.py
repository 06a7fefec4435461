"""What URLs mean, and what is refused before a connection is made."""

from __future__ import annotations

import pytest

from overdrive import ConfigError
from overdrive._tiers.l2.url import Address, Target, Tls, parse_url


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("redis://h", Target("single", (Address("h", 6379),))),
        ("redis://h:1/2", Target("single", (Address("h", 1),), 2)),
        ("redis://h?db=3", Target("single", (Address("h", 6379),), 3)),
        ("redis://:p%40ss@h", Target("single", (Address("h", 6379),), password="p@ss")),
        ("redis://u:p@[::1]:7", Target("single", (Address("::1", 7),), username="u", password="p")),
        ("unix:///run/r.sock?db=1", Target("single", (Address("/run/r.sock", 0),), 1)),
        ("unix://u:p@/r%20s", Target("single", (Address("/r s", 0),), username="u", password="p")),
        ("rediss://h", Target("single", (Address("h", 6379),), tls=Tls())),
        (
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_check_hostname=false",
            Target("single", (Address("h", 6379),), tls=Tls("/ca.pem", check_hostname=False)),
        ),
        (
            "rediss://h?ssl_cert_reqs=none",
            Target("single", (Address("h", 6379),), tls=Tls(verify=False, check_hostname=False)),
        ),
        (
            "redis+sentinel://u:p@a,b:5/main/2?sentinel_password=s",
            Target(
                "sentinel",
                (Address("a", 26379), Address("b", 5)),
                2,
                "main",
                username="u",
                password="p",
                sentinel_password="s",
            ),
        ),
        ("redis+cluster://a:1,[::1]:2", Target("cluster", (Address("a", 1), Address("::1", 2)))),
        ("rediss+cluster://a", Target("cluster", (Address("a", 6379),), tls=Tls())),
    ],
)
def test_what_urls_mean(url: str, target: Target) -> None:
    assert parse_url(url) == target


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h", "scheme 'http'; allowed are redis, rediss, unix, redis\\+sentinel"),
        ("", "scheme ''"),
        ("h:6379", "scheme 'h'"),
        ("redis://h:0", "port '0'; allowed are 1 to 65535"),
        ("redis://h:65536", "port '65536'"),
        ("redis://h:abc", "port 'abc'"),
        ("redis://h:", "empty port"),
        ("redis://", "no host"),
        ("redis://[::1", "malformed"),
        ("redis://u:secret@h℀", "malformed"),
        ("redis://h/x", "database 'x'"),
        ("redis://h/-1", "database '-1'"),
        ("redis://h/1/2", "path '/1/2'"),
        ("redis://a,b", "redis\\+sentinel:// or redis\\+cluster://"),
        ("redis://u@h", "user without a password"),
        ("redis://h?tls=1", "option 'tls'; allowed are db"),
        ("redis://h?ssl_ca_certs=x", "option 'ssl_ca_certs'"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs 'maybe'; allowed are required, none"),
        ("rediss://h?ssl_check_hostname=2", "ssl_check_hostname '2'"),
        ("unix://relative", "no absolute path"),
        ("unix://", "no absolute path"),
        ("redis+sentinel://h", "/service"),
        ("redis+sentinel://h/a/1/2", "/service"),
        ("redis+cluster://h/1", "database 1; a cluster has only 0"),
    ],
)
def test_what_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_url(url)


def test_tls_options_need_tls() -> None:
    with pytest.raises(ConfigError, match="scheme that uses TLS"):
        parse_url("redis://h", tls=Tls())
    assert parse_url("rediss://h", tls=Tls("/ca")).tls == Tls("/ca")


def test_what_is_logged_has_no_password() -> None:
    target = parse_url("rediss+sentinel://user:secret@[::1]:1,b/main?sentinel_password=secret2")
    assert str(target) == "rediss+sentinel://[::1]:1,b:26379/main"
    assert "secret" not in repr(target)
    assert str(parse_url("unix://:secret@/run/r")) == "unix:///run/r"
