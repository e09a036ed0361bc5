"""Batches of clicks as edges pack them, from the description in edge/wire/src/click/mod.rs: a
second implementation, so that the first is not held to itself."""

import base64
import dataclasses

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISITOR = 1 << 6


@dataclasses.dataclass(frozen=True)
class Click:
    """A visit to a link that led to its destination."""

    link: str
    at_ms: int
    visitor: int
    country: str = "DE"
    user_agent: str = FIREFOX


def number(value):
    """Unsigned LEB128."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def signed(value):
    """Zigzag, then as a number."""
    return number(value * 2 if value >= 0 else -value * 2 - 1)


def text(value):
    """Length and UTF-8."""
    encoded = value.encode()
    return number(len(encoded)) + encoded


def identity(link):
    """The number of a link's id."""
    value = 0
    for character in link:
        value = value * 62 + BASE62.index(character)
    return value


def pack(source, first_sequence, clicks):
    """A message with a batch: clicks of a host, numbered from `first_sequence` on."""
    texts, links, body = [], [], b""
    latest = clicks[0].at_ms

    def position(value, known, first):
        if value not in known:
            known.append(value)
        return number(known.index(value) + first)

    for click in clicks:
        body += bytes([VISITOR]) + signed(click.at_ms - latest)
        latest = click.at_ms
        body += position(identity(click.link), links, 0)
        # User agent, referrer host, country, region, city, continent, language.
        for value in (click.user_agent, "", click.country, "", "", "", ""):
            body += position(value, texts, 1) if value else number(0)
        body += click.visitor.to_bytes(8, "big")
    encoded = b"\x01" + source.to_bytes(8, "big") + number(first_sequence)
    encoded += signed(clicks[0].at_ms)
    encoded += number(len(texts)) + b"".join(text(value) for value in texts)
    encoded += number(len(links)) + b"".join(link.to_bytes(8, "big") for link in links)
    encoded += number(len(clicks)) + body
    return base64.b64encode(encoded).decode()
