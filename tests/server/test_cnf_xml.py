# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phones' configuration files: an edit changes only the bytes of the elements that it sets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capf.phone_files.cnf_xml import MAXIMUM_BYTES, ConfigurationError, PhoneSettings, edit, make
from capf_lab.cnf_xml import Configuration, parse
from capf_lab.network import IpMode

IP_MODES = (IpMode.IPV4, IpMode.IPV6, IpMode.DUAL)
SET = ("deviceSecurityMode", "capfAuthMode", "capfList", "certHash", "ipAddressMode", "encrConfig")
SETTINGS = PhoneSettings(2, 1, (("node1", 3804), ("node2", 3805)), "0f" * 16, 2, encrypted=True)
OWN = """<?xml version="1.0" encoding="iso-8859-1"?>\r
<!-- the site's own: <capfAuthMode>9</capfAuthMode> -->\r
<device  xsi:type="axl:XIPPhone" ctiid='1' uuid="{a>b}" >\r
\t<fullConfig>true</fullConfig><certHash/>\r
  <capfAuthMode note="/>">0</capfAuthMode >\r
  <devicePool><certHash>not this one</certHash><name>B\xfcro</name></devicePool>\r
  <capfList><capf><phonePort>3804</phonePort><processNodeName>old</processNodeName></capf></capfList>\r
  <![CDATA[ <encrConfig>no element</encrConfig> ]]>\r
  <ipAddressMode>1</ipAddressMode>\r
</device>\r
<!-- end -->""".encode("latin-1")


def test_an_edit_keeps_everything_else_byte_for_byte() -> None:
    servers = "".join(
        f"<capf><processNodeName>{name}</processNodeName><phonePort>{port}</phonePort></capf>"
        for name, port in SETTINGS.servers
    )
    expected = OWN.replace(b"<certHash/>", b"<certHash>%s</certHash>" % (b"0f" * 16))
    expected = expected.replace(b'note="/>">0<', b'note="/>">1<')
    old = b"<capf><phonePort>3804</phonePort><processNodeName>old</processNodeName></capf>"
    expected = expected.replace(old, servers.encode())
    added = b"  <deviceSecurityMode>2</deviceSecurityMode>\r\n  <encrConfig>true</encrConfig>\r\n</device>"
    assert edit(OWN, SETTINGS) == expected.replace(b"</device>", added)


def test_what_says_already_what_is_meant_is_left_alone() -> None:
    own = b"""<device><capfAuthMode>\n 1 </capfAuthMode><capfList>
      <capf  priority='1'><phonePort>3804</phonePort> <processNodeName>node1</processNodeName></capf>
      <!-- x --><capf><processNodeName>node2</processNodeName><phonePort>3805</phonePort></capf></capfList
    ><deviceSecurityMode>2</deviceSecurityMode><encrConfig>true</encrConfig><ipAddressMode>0</ipAddressMode>
    <certHash>0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f</certHash></device>"""
    assert edit(own, SETTINGS) == own


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (b"", "not well-formed XML at line 1, column 1"),
        (b"<device>", "not well-formed XML at line 1, column 9"),
        (b"<device/>\n<device/>", "not well-formed XML at line 2, column 1"),
        (b"<flat-profile/>", "its root is <flat-profile>; allowed: <device>"),
        (b"<!DOCTYPE device><device/>", "document type declaration"),
        (b'<!DOCTYPE d [<!ENTITY a "b">]><device>&a;</device>', "document type declaration"),
        (b"<device>&a;</device>", "not well-formed XML at line 1, column 9"),
        (b'<?xml version="1.0" encoding="no-such"?><device/>', "not XML in an encoding that can be read"),
        ("\ufeff<device/>".encode("utf-16-le") + b"x", "not valid utf-16-le; save it as UTF-8"),
        (b"<device>" + b" " * MAXIMUM_BYTES + b"</device>", "allowed: at most 1000000"),
    ],
)
def test_what_is_no_phones_file_is_refused_and_the_reason_named(own: bytes, says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        edit(own, SETTINGS)


def read(data: bytes) -> Configuration:
    """Return the settings that a phone reads."""
    configuration = parse(data)
    assert configuration is not None, data
    return configuration


def meant(settings: PhoneSettings, ip_mode: int) -> Configuration:
    """Return the settings that a phone should read."""
    mode, encrypted = IP_MODES[ip_mode], settings.certificate_hash
    return Configuration(
        settings.device_security_mode, settings.authentication_mode, settings.servers[:5], encrypted, mode
    )


SETTINGS_OF_ALL_KINDS = st.builds(
    PhoneSettings,
    st.integers(1, 3),
    st.integers(0, 4),
    st.lists(st.tuples(st.from_regex(r"\A[a-z0-9.:&ü-]{1,20}\Z"), st.integers(1, 65535)), max_size=7).map(tuple),
    st.from_regex(r"\A([0-9a-f]{32})?\Z"),
    st.integers(0, 2),
    encrypted=st.booleans(),
)
SPACE = st.sampled_from(["", " ", "\n", "\r\n", "\t", "<!-- <capfAuthMode>7</capfAuthMode> -->", "<?pi <device> ?>"])
NAMES = st.sampled_from([*SET, "loadInformation", "xsi:odd", "device", "capf"])
TEXTS = st.sampled_from(
    ["", "1", "text", "&lt;x&gt;", "&#228;", "ä", "<![CDATA[</device>]]>", "<certHash>x</certHash>"]
)
ATTRIBUTES = st.sampled_from(["", " a='1'", ' a="/>"', " \n b='>' ", " "])


@st.composite
def elements(draw: st.DrawFn) -> tuple[str, str]:
    """Return a child of <device>: its name and its text."""
    name, attributes = draw(NAMES), draw(ATTRIBUTES)
    if draw(st.booleans()):
        return name, f"<{name}{attributes}/>"
    return (
        name,
        f"<{name}{attributes}>{draw(SPACE)}{draw(TEXTS)}{draw(SPACE)}</{name}{draw(st.sampled_from(['', ' ']))}>",
    )


@st.composite
def own_files(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """Return an administrator's own file in parts, each with the name of its element, empty between elements."""
    parts = [("", draw(st.sampled_from(["", "<?xml version='1.0'?>\r\n"])) + draw(SPACE).lstrip())]
    parts.append(("", f"<device{draw(ATTRIBUTES)}>"))
    for element in draw(st.lists(elements(), max_size=8)):
        parts += [("", draw(SPACE)), element]
    parts += [("", draw(SPACE)), ("", "</device>"), ("", draw(SPACE))]
    return draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])), parts


def encoded(text: str, encoding: str) -> bytes:
    """Return a text in an encoding with its byte order mark."""
    return (("\ufeff" if encoding.startswith("utf-16") else "") + text).encode(encoding)


@given(own_files(), SETTINGS_OF_ALL_KINDS)
def test_an_edit_of_any_file_is_read_as_meant_and_touches_nothing_else(
    own: tuple[str, list[tuple[str, str]]], settings: PhoneSettings
) -> None:
    encoding, parts = own
    edited = edit(encoded("".join(text for _name, text in parts), encoding), settings)
    assert edit(edited, settings) == edited
    text = edited.decode(encoding).removeprefix("\ufeff")
    pattern = "".join(
        rf"<{name}(?s:.*?)(?:</{name} ?>|/>)" if name in SET else re.escape(part) for name, part in parts[:-2]
    )
    added = rf"(?:\s*<({'|'.join(SET)})>[^\n]*?</\1>\s*)*"
    assert re.fullmatch(pattern + added + re.escape(parts[-2][1] + parts[-1][1]), text), text


@given(SETTINGS_OF_ALL_KINDS)
def test_a_file_of_the_servers_own_is_read_as_meant(settings: PhoneSettings) -> None:
    made = make(settings)
    assert read(made) == meant(settings, settings.ip_address_mode)
    assert edit(made, settings) == made


@given(SETTINGS_OF_ALL_KINDS, st.integers(0, 2))
def test_the_edit_of_an_own_file_is_read_as_meant_and_its_ip_mode_is_the_administrators(
    settings: PhoneSettings, ip_mode: int
) -> None:
    own = OWN.replace(b"<ipAddressMode>1<", b"<ipAddressMode>%d<" % ip_mode)
    assert read(edit(own, settings)) == meant(settings, ip_mode)


@given(st.binary(max_size=200).map(lambda data: b"<device>" + data + b"</device>"))
def test_any_bytes_are_edited_or_refused(own: bytes) -> None:
    try:
        edited = edit(own, SETTINGS)
    except ConfigurationError:
        return
    assert edit(edited, SETTINGS) == edited
