# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

from collections.abc import Mapping
from http.client import HTTPResponse

def open_url(
    url: str,
    data: str | bytes | None = ...,
    headers: Mapping[str, str] | None = ...,
    method: str | None = ...,
    *,
    use_proxy: bool = ...,
    timeout: float = ...,
    validate_certs: bool = ...,
    url_username: str | None = ...,
    url_password: str | None = ...,
    force_basic_auth: bool = ...,
    follow_redirects: str = ...,
    ca_path: str | None = ...,
) -> HTTPResponse: ...
