#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capf_certificate
short_description: Renew the CAPF certificate in the safe order, and say whose LSCs are trusted
version_added: 0.1.0
description:
  - Renews the CAPF key and certificate in two steps. The next certificate is prepared first, so that a CTL file can
    list it. When phones have that CTL file, the next certificate is made active, which restarts the CAPF service; from
    then on it issues.
  - The earlier certificate stays trusted, so that phones can authenticate by the LSCs that it issued, until it is
    distrusted.
  - The server refuses to activate a certificate that its CTL file does not list, and to activate one when the CTL
    file was signed by a security token that phones did not know when the certificate was prepared. A CAPF that is
    renewed together with the security tokens loses every phone.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.certificates
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - V(prepared) makes another certificate when the one before was activated, unless O(replaces) or O(renew_before)
        says when that is wanted.
options:
  state:
    description:
      - V(prepared) makes the next key and certificate, unless there is one.
      - V(active) makes the next certificate the one that issues. Nothing changes where none is prepared.
      - V(discarded) removes the next certificate.
      - V(trusted) trusts LSCs that were issued by O(certificates) and O(files), for phones that come from another
        cluster or from an earlier CAPF.
      - V(distrusted) trusts LSCs of the earlier certificates O(names) no longer. It is refused while phones have active
        LSCs of theirs, with the number.
    type: str
    choices: [prepared, active, discarded, trusted, distrusted]
    default: prepared
  renew_before:
    description: With O(state=prepared), a certificate is made only where the current one expires within so many days.
    type: int
  replaces:
    description:
      - With O(state=prepared), a certificate is made only while the current one has this common name, such as
        V(CAPF-1a2b3c4d). The task can so be run again after the renewal.
    type: str
  names:
    description: Common names of earlier CAPF certificates, for O(state=distrusted).
    type: list
    elements: str
    default: []
  force:
    description: Whether to activate or distrust although the server refuses it. Phones may be lost.
    type: bool
    default: false
seealso:
  - module: ucm.capf.capf_certificate_info
"""

EXAMPLES = r"""
- name: Prepare the next CAPF certificate a year before the current one ends
  ucm.capf.capf_certificate:
    administrator: admin
    password: "{{ capf_password }}"
    state: prepared
    renew_before: 365

- name: Let it issue, after phones have a CTL file that lists it
  ucm.capf.capf_certificate:
    administrator: admin
    password: "{{ capf_password }}"
    state: active

- name: Trust the LSCs of the CAPF from which phones come
  ucm.capf.capf_certificate:
    administrator: admin
    password: "{{ capf_password }}"
    state: trusted
    files: [other-capf.pem]

- name: Trust the LSCs of an earlier certificate no longer
  ucm.capf.capf_certificate:
    administrator: admin
    password: "{{ capf_password }}"
    state: distrusted
    names: [CAPF-1a2b3c4d]
"""

RETURN = r"""
before:
  description: The certificates by their common names, before.
  returned: success
  type: dict
  sample: {current: CAPF-1a2b3c4d, next: none, trusted: []}
after:
  description: The same afterwards.
  returned: success
  type: dict
  sample: {current: CAPF-1a2b3c4d, next: a new certificate, trusted: []}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._certificates import certificate_options, send_certificates
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff

_TRUST = {"trusted": "present", "distrusted": "absent"}


def _ask(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    params = module.params
    wanted = {"state": params["state"], "force": params["force"], "dry_run": module.check_mode}
    if params["state"] in _TRUST:
        wanted.update(state=_TRUST[params["state"]], names=params["names"])
        return send_certificates(client, "/capf-certificate/trusted", params, wanted)
    wanted.update(renew_before_days=params["renew_before"], replaces=params["replaces"])
    return client.send("PUT", "/capf-certificate", wanted)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    answer = _ask(module, client)
    for warning in answer.pop("warnings"):
        module.warn(warning)
    return dict(answer, diff=values_diff(answer["before"], answer["after"]))


def main() -> None:
    states = ["prepared", "active", "discarded", "trusted", "distrusted"]
    options = dict(
        certificate_options(),
        state={"type": "str", "choices": states, "default": "prepared"},
        renew_before={"type": "int"},
        replaces={"type": "str"},
        names={"type": "list", "elements": "str", "default": []},
        force={"type": "bool", "default": False},
    )
    rules = [("state", "trusted", ("certificates", "files"), True), ("state", "distrusted", ("names",))]
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, required_if=rules), work)


if __name__ == "__main__":
    main()
