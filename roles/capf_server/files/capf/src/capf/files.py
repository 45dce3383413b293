"""What phones fetch over HTTP 6970: CTL file, CAPF certificate, configuration (protocol page: configuration file)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from fastapi import FastAPI, Response
from sqlalchemy import Connection

from capf import authority, ctl
from capf.folder import CONFIGURATION_SUFFIX, Folder
from capf.model import AuthenticationMode, InvalidRequestError, Problem, SecurityMode
from capf.registry.context import Context
from capf.store import rows
from capf.store.engine import Store

_SECURITY_MODES = {SecurityMode.NON_SECURE: 1, SecurityMode.AUTHENTICATED: 2, SecurityMode.ENCRYPTED: 3}
_AUTHENTICATION_MODES = {
    AuthenticationMode.STRING: 1,
    AuthenticationMode.NULL_STRING: 2,
    AuthenticationMode.LSC_FIRST: 3,
    AuthenticationMode.MIC_FIRST: 4,
}


def configuration(connection: Connection, context: Context, device_name: str, node_name: str) -> bytes | None:
    """Return a minimal phone configuration file; None for a phone that is not registered with the server.

    ``capfAuthMode`` is 0 unless an operation waits for the phone and CAPF runs.
    """
    phone = rows.phone(connection, device_name)
    if phone is None:
        return None
    operation = rows.operations_of(connection, [device_name]).get(device_name)
    in_force = context.in_force(connection)
    mode = 0
    if operation is not None and operation["state"] in rows.OPEN:
        mode = _AUTHENTICATION_MODES[AuthenticationMode(operation["authentication_mode"])]
    device = ElementTree.Element("device")
    _add(device, "deviceSecurityMode", _SECURITY_MODES[SecurityMode(phone["device_security_mode"])])
    _add(device, "capfAuthMode", mode)
    capf = ElementTree.SubElement(ElementTree.SubElement(device, "capfList"), "capf")
    _add(capf, "processNodeName", node_name)
    _add(capf, "phonePort", in_force.number("CAPF Phone Port"))
    _add(device, "ipAddressMode", 2 if in_force.flag("Enable IPv6") else 0)
    document: bytes = ElementTree.tostring(device, encoding="utf-8", xml_declaration=True)
    return document


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)


def published_files(
    connection: Connection, context: Context, folder: Folder, phones: Sequence[str] | None
) -> dict[str, bytes]:
    """Return what further nodes hand to phones: the CTL file, the CAPF certificate under both its names, and the
    configuration files of ``phones`` (None: of all). InvalidRequestError names phones that are not registered."""
    names = (ctl.FILE_NAME, *authority.file_names(context.authority.certificate))
    found = {name: folder.read(name) for name in names}
    for device_name in rows.phone_names(connection) if phones is None else phones:
        data = configuration(connection, context, device_name, context.node_name)
        found[f"{device_name}{CONFIGURATION_SUFFIX}"] = data
    unknown = [name.removesuffix(CONFIGURATION_SUFFIX) for name in found if found[name] is None and name not in names]
    if unknown:
        allowed = "phones that are registered with the server"
        raise InvalidRequestError([Problem("phones", name, allowed) for name in unknown])
    return {name: data for name, data in found.items() if data is not None}


def application(store: Store, context: Context, node_name: str, folder: Folder) -> FastAPI:
    """Return the application of the files port; it knows a few names and nothing else of the disk."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/{name}")
    async def fetch(name: str) -> Response:
        device_name = name.removesuffix(CONFIGURATION_SUFFIX)
        if context.first_node and name != device_name:
            content = await store.aread(lambda connection: configuration(connection, context, device_name, node_name))
        else:
            content = await store.aread(lambda _unused: folder.read(name))
        if content is None:
            return Response(status_code=404)
        return Response(content, media_type="application/octet-stream")

    return app
