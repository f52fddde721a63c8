"""Where a provider key may lead, in which header it may go, and what its value may be."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from keys.kinds import BASE_URL_LENGTH, HEADER_LENGTH, PREFIX_LENGTH, Provider
from keys.upstream_addresses import (
    PRESETS,
    clean_base_url,
    clean_header,
    clean_prefix,
    clean_slug,
    clean_value,
    is_private,
    mask,
    provider_at,
)

PROVIDERS_KEY = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"


def refusal(text: str, *, private: bool = False) -> str:
    with pytest.raises(ValidationError) as refused:
        clean_base_url(text, private=private)
    (message,) = refused.value.messages
    return str(message)


# Presets


@pytest.mark.parametrize("provider", Provider)
def test_a_preset_keeps_to_its_own_rules(provider: str) -> None:
    preset = PRESETS[provider]
    assert not preset.base_url or clean_base_url(preset.base_url) == preset.base_url
    assert clean_header(preset.header) == preset.header
    assert clean_prefix(preset.prefix) == preset.prefix


def test_the_presets_are_the_ones_that_the_providers_document() -> None:
    assert {name: tuple(vars_of(name)) for name in PRESETS} == {
        "openai": ("https://api.openai.com/v1", "Authorization", "Bearer"),
        "anthropic": ("https://api.anthropic.com", "x-api-key", ""),
        "google": ("https://generativelanguage.googleapis.com", "x-goog-api-key", ""),
        "azure-openai": ("", "api-key", ""),
        "mistral": ("https://api.mistral.ai/v1", "Authorization", "Bearer"),
        "custom": ("", "Authorization", "Bearer"),
    }


def vars_of(name: str) -> tuple[str, str, str]:
    preset = PRESETS[name]
    return preset.base_url, preset.header, preset.prefix


def test_a_preset_s_host_is_known_for_its_provider() -> None:
    assert provider_at("https://api.anthropic.com/v1/messages") == "anthropic"
    assert provider_at("https://api.openai.com.evil.com") == ""
    assert provider_at("https://example.com") == ""


# Addresses


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/v1//", "https://api.example.com/v1"),
        ("HTTPS://API.Example.COM/V1", "https://api.example.com/V1"),
        ("https://api.example.com:443/v1", "https://api.example.com/v1"),
        ("https://api.example.com:8443/v1", "https://api.example.com:8443/v1"),
        ("https://api.example.com/a@b:c;d=e/%7Efoo", "https://api.example.com/a@b:c;d=e/%7Efoo"),
        ("https://my-resource.openai.azure.com/openai", "https://my-resource.openai.azure.com/openai"),
        ("https://münchen.de/v1", "https://xn--mnchen-3ya.de/v1"),
        ("https://api。example。com", "https://api.example.com"),
        ("https://8.8.8.8/v1", "https://8.8.8.8/v1"),
        ("https://[2606:4700:4700:0::1111]:8443", "https://[2606:4700:4700::1111]:8443"),
    ],
)
def test_a_public_https_address_is_taken(text: str, cleaned: str) -> None:
    assert clean_base_url(text) == cleaned


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Enter the base URL."),
        ("api.example.com", "Enter an address such as"),
        ("//api.example.com", "Enter an address such as"),
        ("https:/api.example.com", "Enter an address such as"),
        ("https:api.example.com", "Enter an address such as"),
        ("https://api.example.com\\v1", "host is not a host name"),
        ("https://evil.com\\@api.example.com", "user name and password"),
        ("https://api.example.com/ä", "Enter an address such as"),
        ("https://api.example.com/%2", "Enter an address such as"),
        ('https://api.example.com/"', "Enter an address such as"),
        ("http://api.example.com", "Over http anybody"),
        ("ftp://api.example.com", "Begin the base URL with https://."),
        ("javascript://api.example.com", "Begin the base URL with https://."),
        ("file:///etc/passwd", "Begin the base URL with https://."),
        ("https://", "host is not a host name"),
        ("https:///v1", "host is not a host name"),
        ("https://mara@api.example.com", "user name and password"),
        ("https://mara:pw@api.example.com", "user name and password"),
        ("https://api.example.com/?a=b", "“?” or “#”"),
        ("https://api.example.com?", "“?” or “#”"),
        ("https://api.example.com#top", "“?” or “#”"),
        (" https://api.example.com", "spaces, line breaks"),
        ("https://api.example.com/v 1", "spaces, line breaks"),
        ("https://api.example.com\n", "spaces, line breaks"),
        ("https://api.example.com/\r\nX-Evil:1", "spaces, line breaks"),
        ("https://api.exa\tmple.com", "spaces, line breaks"),
        ("https://api.example.com/\0", "spaces, line breaks"),
        ("https://api\u200b.example.com", "spaces, line breaks"),
        ("https://api.example.com/a/../b", "“..” out of the path"),
        ("https://api.example.com/%2e%2E/b", "“..” out of the path"),
        ("https://api.example.com/.", "“..” out of the path"),
        ("https://api.example.com:", "host or port can't be read"),
        ("https://api.example.com:0", "from 1 to 65535"),
        ("https://api.example.com:65536", "from 1 to 65535"),
        ("https://api.example.com:999999", "host or port can't be read"),
        ("https://api.example.com:٣", "host or port can't be read"),
        ("https://api.example.com:-1", "host or port can't be read"),
        ("https://::1", "host or port can't be read"),
        ("https://[::1", "host or port can't be read"),
        ("https://api.example.com.", "host is not a host name"),
        ("https://api..example.com", "host is not a host name"),
        ("https://-api.example.com", "host is not a host name"),
        ("https://api_1.example.com", "host is not a host name"),
        ("https://api.%65xample.com", "host is not a host name"),
        ("https://ex℀mple.com", "host is not a host name"),
        (f"https://{'a' * 64}.example.com", "host is not a host name"),
        (f"https://{'a.' * 126}com", "host is not a host name"),
        ("https://faß.example.com", "ASCII form"),
        ("https://" + "a" * BASE_URL_LENGTH, f"Use {BASE_URL_LENGTH} characters or fewer."),
        (f"https://api.example.com/{PROVIDERS_KEY}", "That looks like an API key."),
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_what_is_no_address_of_a_provider_is_told_so(text: str, said: str, private: bool) -> None:
    if private and text.startswith("http:"):
        assert clean_base_url(text, private=True) == text
    else:
        assert said in refusal(text, private=private)


PRIVATE = [
    "localhost", "LOCALHOST", "api.localhost", "ollama", "llm.internal", "llm.local", "nas.home.arpa",
    "llm.corp", "llm.lan", "router.home", "x.test", "1.0.0.127.in-addr.arpa", "metadata.google.internal",
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "[::1]",
    "[fc00::1]", "[fd12:3456::1]", "１２７.0.0.1", "127。0。0。1", "[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]",
    "[2002:7f00:1::]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_host_needs_the_permission_of_staff(host: str) -> None:
    said = "The base URL leads to a private address. Staff can allow that for a project."
    assert refusal(f"https://{host}/v1") == said
    for scheme in ("http", "https"):
        allowed = clean_base_url(f"{scheme}://{host}:8080/v1", private=True)
        assert allowed.startswith(f"{scheme}://")
        assert is_private(allowed)


NOWHERE = [
    "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "240.0.0.1", "[::]", "[fe80::1]",
    "[ff02::1]", "[::ffff:169.254.169.254]", "[2002:a9fe:a9fe::]", "[64:ff9b::a9fe:a9fe]",
    "[::a9fe:a9fe]",
]  # fmt: skip


@pytest.mark.parametrize("host", NOWHERE)
def test_where_no_provider_can_be_nobody_may_allow_it(host: str) -> None:
    assert "private address" in refusal(f"https://{host}")
    assert refusal(f"https://{host}", private=True) == "No provider can be at this address."


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "017700000001", "1.2.3.4.5",
        "256.1.1.1", "1.1.1.01", "example.1", "example.0x1", "0", "[1.2.3.4]", "[fe80::1%25eth0]", "[]",
        "[::1]x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("private", [False, True])
def test_an_address_in_an_unusual_spelling_is_refused_whoever_allows_private_ones(
    host: str, private: bool
) -> None:
    assert "https://api" not in refusal(f"https://{host}/v1", private=private)


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1", "203.0.113.9", "192.88.99.1", "[2001:db8::1]", "[3fff::1]", "[64:ff9b::808:808]",
        "[64:ff9b:1::1]", "[2001:0:4136:e378::1]", "[fec0::1]",
    ],
)  # fmt: skip
def test_an_address_that_is_not_global_is_not_public(host: str) -> None:
    assert "private address" in refusal(f"https://{host}")


@given(st.ip_addresses())
@example(ipaddress.ip_address("224.0.0.1"))
@example(ipaddress.ip_address("::ffff:10.0.0.1"))
def test_no_ip_address_that_is_not_global_gets_through(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    try:
        cleaned = clean_base_url(f"https://{host}")
    except ValidationError:
        return
    assert cleaned == f"https://{host}"
    assert address.is_global
    hidden = (address.is_private, address.is_multicast, address.is_loopback, address.is_link_local)
    assert not any(hidden)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{:d}", "{:#x}", "0{:o}"]))
def test_no_ip_address_gets_through_as_a_number(number: int, spelling: str) -> None:
    for private in (False, True):
        with pytest.raises(ValidationError):
            clean_base_url(f"https://{spelling.format(number)}/", private=private)


_PARTS = st.sampled_from([
    "https://", "http://", "api.example.com", "localhost", "127.0.0.1", "[::1]", ":8080", "/", "v1", "..",
    "%2e", "?", "#", "@", "\\", " ", "\n", "\0", "。", "１", "ä", "ß", "\u202e", "xn--a", ".", "-",
])  # fmt: skip


@given(st.lists(_PARTS, max_size=8).map("".join) | st.text(max_size=40), st.booleans())
def test_what_gets_through_reads_the_same_to_whoever_reads_it(text: str, private: bool) -> None:
    for address in (text, f"https://{text}", f"https://api.example.com{text}"):
        try:
            cleaned = clean_base_url(address, private=private)
        except ValidationError:
            continue
        assert clean_base_url(cleaned, private=private) == cleaned
        assert cleaned.isascii()
        assert cleaned.isprintable()
        assert " " not in cleaned
        parts = urlsplit(cleaned)
        assert parts.geturl() == cleaned
        assert parts.scheme in (("https", "http") if private else ("https",))
        assert parts.hostname
        assert not any((parts.query, parts.fragment, parts.username, parts.password))


# Headers and prefixes


@pytest.mark.parametrize(
    "text", ["Authorization", "x-api-key", "api-key", "X-Goog-Api-Key", "Ocp-Apim-Key_2"]
)
def test_a_header_is_taken_as_it_is_typed(text: str) -> None:
    assert clean_header(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "X Api Key",
        "X-Api-Key:",
        "X-Api-Key\r\n",
        "X-Schlüssel",
        "(key)",
        "a/b",
        '"key"',
        "\0",
        "key ",
        " key",
    ],
)
def test_what_is_no_header_s_name_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="not the name of a header"):
        clean_header(text)


@pytest.mark.parametrize(
    "text",
    [
        "Host", "host", "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "Content-Length", "Content-Type", "Cookie", "Set-Cookie", "Expect", "Forwarded", "Via",
        "X-Forwarded-For", "X-FORWARDED-HOST", "X-Real-IP", "X-Original-URL", "X-Keyrack-Gateway",
        "X-Keyrack-Anything", "Proxy-Authorization", "Proxy-Connection", "X-HTTP-Method-Override",
        "Sec-Fetch-Site", "HTTP2-Settings",
        # Folded onto the same by whoever speaks CGI.
        "Transfer_Encoding", "X_Keyrack_Gateway", "x_forwarded_for", "Content_Length",
    ],
)  # fmt: skip
def test_a_header_that_steers_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=f"No key goes in “{text}”"):
        clean_header(text)


def test_a_header_and_a_prefix_have_lengths() -> None:
    assert clean_header("h" * HEADER_LENGTH)
    assert clean_prefix("p" * PREFIX_LENGTH)
    for clean, length in ((clean_header, HEADER_LENGTH), (clean_prefix, PREFIX_LENGTH)):
        with pytest.raises(ValidationError, match=f"Use {length} characters or fewer."):
            clean("x" * (length + 1))
    with pytest.raises(ValidationError, match="Enter the header"):
        clean_header("")


@pytest.mark.parametrize("text", ["", "Bearer", "Token", "DeepL-Auth-Key"])
def test_a_prefix_is_one_word_or_none(text: str) -> None:
    assert clean_prefix(text) == text


@pytest.mark.parametrize("text", ["Bearer ", "two words", "Bearer\n", "Bäcker", "key:"])
def test_what_is_more_than_a_word_is_no_prefix(text: str) -> None:
    with pytest.raises(ValidationError, match="one word"):
        clean_prefix(text)


@pytest.mark.parametrize("clean", [clean_header, clean_prefix, clean_slug, clean_base_url])
def test_a_provider_s_key_in_the_wrong_field_is_refused_and_not_repeated(clean: object) -> None:
    assert callable(clean)
    with pytest.raises(ValidationError, match="looks like an API key") as refused:
        clean(PROVIDERS_KEY)
    assert PROVIDERS_KEY not in str(refused.value)


# Names of upstreams


@pytest.mark.parametrize("text", ["openai", "gpt-5", "gpt-4.1", "7b", "x" * 60, "claude-opus-4.5-20251101"])
def test_an_upstream_is_called_as_models_are(text: str) -> None:
    assert clean_slug(text) == text


@pytest.mark.parametrize(
    "text", ["", "GPT-5", ".hidden", "-x", "a b", "a/b", "a_b", "ä", "a\n", "x" * 61, "a\0", "..", "a:b"]
)
def test_what_can_t_stand_in_a_query_is_no_name_of_an_upstream(text: str) -> None:
    with pytest.raises(ValidationError):
        clean_slug(text)


# Values


@pytest.mark.parametrize("secret", ["x", PROVIDERS_KEY, "!~", "a" * 4096, "{\"json\":'\\'}"])
def test_a_value_is_taken_as_it_is(secret: str) -> None:
    assert clean_value(secret) == secret


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "Enter the value."),
        ("  \n", "The value has nothing but spaces or line breaks: paste the key."),
        (f"{PROVIDERS_KEY}\n", "The value has spaces or line breaks around it: paste the key alone."),
        (f" {PROVIDERS_KEY}", "The value has spaces or line breaks around it: paste the key alone."),
        (f"{PROVIDERS_KEY}\u00a0", "The value has spaces or line breaks around it: paste the key alone."),
        ("one\r\ntwo", "The value has spaces or line breaks in it: paste one key alone."),
        ("Bearer x", "The value has spaces or line breaks in it: paste one key alone."),
        ("a" * 4097, "The value is longer than 4,096 characters: paste one key alone."),
        ("a" * 100_000, "The value is longer than 4,096 characters: paste one key alone."),
        ("schlüssel", "The value has characters that can't stand in a header: paste the key anew."),
        ("a\0b", "The value has characters that can't stand in a header: paste the key anew."),
        ("a\x7fb", "The value has characters that can't stand in a header: paste the key anew."),
        ("a\u200bb", "The value has characters that can't stand in a header: paste the key anew."),
    ],
    ids=lambda text: text[:20],
)
def test_a_value_that_is_none_is_told_why(secret: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        clean_value(secret)
    assert refused.value.messages == [said]


@given(st.text())
def test_a_value_that_is_taken_can_stand_in_a_header(secret: str) -> None:
    try:
        cleaned = clean_value(secret)
    except ValidationError:
        cleaned = ""
    fits = bool(secret) and all(0x21 <= ord(char) <= 0x7E for char in secret)
    assert cleaned == (secret if fits else "")


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("", ""), ("a" * 15, ""), ("sk-proj-56789abc", "sk-…abc"), (PROVIDERS_KEY, "sk-…pD7")],
)
def test_a_mask_shows_three_characters_on_each_side_of_a_long_value_only(secret: str, shown: str) -> None:
    assert mask(secret) == shown


@given(st.text())
def test_a_mask_shows_no_more_than_six_characters(secret: str) -> None:
    assert len(mask(secret)) in (0, 7)
