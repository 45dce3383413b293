# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: phones
short_description: Phones as hosts, grouped by LSC status, device pool, security mode and expiry
version_added: 0.1.0
description:
  - Adds each phone that is registered with a CAPF server as a host. The phone's fields become host variables with the
    prefix C(capf_), such as C(capf_device_pool) and C(capf_lsc_expires). Authentication strings are not included.
  - The file has to be named C(phones.yml) or C(phones.yaml), or its name has to end with C(.capf.yml) or
    C(.capf.yaml).
  - Nobody logs in to a phone. Each host has C(ansible_connection=local), so that a task runs on the control node;
    O(compose) can set another connection.
  - The connection options and O(criteria) may be templates, such as C({{ lookup('ansible.builtin.env', 'SITE') }}).
  - The plugin is meant for small sites and ad-hoc use. For thousands of phones, use modules with lists instead of
    hosts.
  - A phone with an LSC is in the group C(lsc_installed), and any other phone in C(no_lsc). The groups C(expired) and
    C(expires_within_30_days) contain the phones whose LSC has expired or will expire. The groups C(lsc_status_STATUS),
    C(device_pool_POOL) and C(security_mode_MODE) are named after the fields, with underscores in place of characters
    that a group name cannot contain.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.phone_fields.criteria
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Identifies a file for this plugin.
    type: str
    required: true
    choices: [ucm.capf.phones]
  host:
    env:
      - name: CAPF_HOST
  port:
    env:
      - name: CAPF_PORT
  administrator:
    env:
      - name: CAPF_ADMINISTRATOR
  password:
    env:
      - name: CAPF_PASSWORD
  ca_path:
    env:
      - name: CAPF_CA_PATH
  validate_certs:
    env:
      - name: CAPF_VALIDATE_CERTS
  timeout:
    env:
      - name: CAPF_TIMEOUT
  expires_within_days:
    description: Number of days before its expiry at which an LSC joins the group C(expires_within_30_days), which is
      named after this number.
    type: int
    default: 30
"""

EXAMPLES = r"""
# phones.yml; the password comes from the environment variable CAPF_PASSWORD
plugin: ucm.capf.phones
host: node1.example.com
ca_path: certificates/administration.crt
criteria:
  - field: device_security_mode
    value: "{{ lookup('ansible.builtin.env', 'SECURITY_MODE') | default('Non Secure', true) }}"
compose:
  building: capf_device_pool.split('-')[0]
groups:
  by_string: capf_authentication_mode == 'By Authentication String'
keyed_groups:
  - key: capf_device_type
    prefix: device_type
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/capf
cache_timeout: 600
"""

import typing as t
from datetime import UTC, datetime, timedelta

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options, criteria_options
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client

_ENDINGS = (".capf.yml", ".capf.yaml", "/phones.yml", "/phones.yaml")
_ROWS_PER_PAGE = 10000
_KEYED = {"lsc_status": "lsc_status", "device_pool": "device_pool", "device_security_mode": "security_mode"}
_TEMPLATED = {*connection_options(), *criteria_options()}
_SECRET = "authentication_string"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Fetches the phones from the server and makes hosts and groups of them."""

    NAME = "ucm.capf.phones"

    def verify_file(self, path: str) -> bool:
        """Return whether the file belongs to this plugin, judging by its name."""
        return super().verify_file(path) and f"/{path}".endswith(_ENDINGS)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Fill the inventory from the cache if that is enabled and fresh, otherwise from the server."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        now = datetime.now(UTC)
        for phone in self._cached(self.get_cache_key(path), cache):
            self._add(phone, now)

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Mapping[str, t.Any] | None = None
    ) -> None:
        """Set the options of a file, with the values of its templates."""
        given = dict(direct or {})
        for name in _TEMPLATED & set(given):
            given[name] = self.templar.template(given[name])
        super().set_options(task_keys=task_keys, var_options=var_options, direct=given)

    def _criteria(self) -> list[dict[str, t.Any]]:
        """Return the criteria with the defaults of what they leave out."""
        checked = ArgumentSpecValidator(criteria_options()).validate({"criteria": self.get_option("criteria")})
        if checked.error_messages:
            raise AnsibleParserError("; ".join(checked.error_messages))
        return t.cast("list[dict[str, t.Any]]", checked.validated_parameters["criteria"])

    def _cached(self, key: str, cache: bool) -> list[dict[str, t.Any]]:
        wanted = self.get_option("cache")
        if wanted and cache:
            try:
                return t.cast("list[dict[str, t.Any]]", self._cache[key])
            except KeyError:
                pass
        phones = self._ask()
        if wanted:
            self._cache[key] = phones
        return phones

    def _ask(self) -> list[dict[str, t.Any]]:
        """Return all phones that match, page by page."""
        phones: list[dict[str, t.Any]] = []
        search: dict[str, t.Any] = {"criteria": self._criteria(), "rows_per_page": _ROWS_PER_PAGE, "page": 0}
        try:
            client = Client({name: self.get_option(name) for name in connection_options()})
            while True:
                search["page"] += 1
                answer = client.send("POST", "/phones/find", search)
                phones += answer["phones"]
                if not answer["phones"] or len(phones) >= answer["total"]:
                    return phones
        except CapfError as error:
            raise AnsibleParserError(str(error)) from None

    def _add(self, phone: dict[str, t.Any], now: datetime) -> None:
        name = self.inventory.add_host(phone["device_name"])
        self.inventory.set_variable(name, "ansible_connection", "local")
        variables = {f"capf_{key}": value for key, value in phone.items() if key != _SECRET}
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        for group in self._groups(phone, now):
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), name)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)

    def _groups(self, phone: dict[str, t.Any], now: datetime) -> list[str]:
        found = [f"{prefix}_{phone[field]}" for field, prefix in _KEYED.items() if phone[field]]
        if not phone["lsc_expires"]:
            return [*found, "no_lsc"]
        found.append("lsc_installed")
        expires, days = datetime.fromisoformat(phone["lsc_expires"]), self.get_option("expires_within_days")
        if expires <= now:
            found.append("expired")
        elif expires <= now + timedelta(days=days):
            found.append(f"expires_within_{days}_days")
        return found
