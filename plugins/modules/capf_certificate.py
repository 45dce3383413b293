#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capf_certificate
short_description: Renew the CAPF certificate in the safe order, and manage trust in the LSCs of other certificates
version_added: 0.1.0
description:
  - Renews the CAPF key and certificate in two steps. First prepare the next certificate, so that a CTL file can list
    it. Once the phones have that CTL file, activate the next certificate, which restarts the CAPF service and issues
    LSCs from then on.
  - The previous certificate stays trusted until you distrust it, so that phones can authenticate with the LSCs that it
    issued.
  - The server refuses to activate a certificate that its CTL file does not list. It also refuses if the CTL file was
    signed by a security token that phones did not know when the certificate was prepared, because renewing CAPF and
    the security tokens at the same time locks out every phone.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.certificates
  - ucm.capf.confirm
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
      - After an activation, V(prepared) makes another certificate unless O(replaces) or O(renew_before) limits it.
options:
  state:
    description:
      - V(prepared) makes the next key and certificate unless they already exist.
      - V(active) starts to issue LSCs with the next certificate. Nothing changes if no certificate is prepared.
      - V(discarded) removes the next certificate.
      - V(trusted) trusts the LSCs issued by O(certificates) and O(files), for phones from another cluster or an
        earlier CAPF.
      - V(distrusted) stops trusting the LSCs of the earlier certificates in O(names). The server refuses this, and
        reports the number, while phones have active LSCs from them, unless you set O(force) and O(confirm). An unknown
        name is an error.
    type: str
    choices: [prepared, active, discarded, trusted, distrusted]
    default: prepared
  renew_before:
    description: With O(state=prepared), make a certificate only if the current one expires within this number of days.
    type: int
  replaces:
    description:
      - With O(state=prepared), make a certificate only if the current one has this common name, such as
        V(CAPF-1a2b3c4d). The task can then safely be run again after the renewal.
    type: str
  names:
    description: Common names of earlier CAPF certificates, for O(state=distrusted).
    type: list
    elements: str
  force:
    description: Prepare, activate or distrust even if the server would refuse it. This may lock out phones.
    type: bool
    default: false
seealso:
  - module: ucm.capf.capf_certificate_info
"""

EXAMPLES = r"""
- name: Prepare the next CAPF certificate a year before the current one ends
  ucm.capf.capf_certificate:
    state: prepared
    renew_before: 365

- name: Activate it once phones have a CTL file that lists it
  ucm.capf.capf_certificate:
    state: active

- name: Trust the LSCs of the phones' previous CAPF
  ucm.capf.capf_certificate:
    state: trusted
    files: [other-capf.pem]

- name: Stop trusting the LSCs of an earlier certificate
  ucm.capf.capf_certificate:
    state: distrusted
    names: ["{{ earlier_certificate }}"]
"""

RETURN = r"""
before:
  description: The common names of the certificates before the change.
  returned: success
  type: dict
  sample: {current: CAPF-1a2b3c4d, next: none, trusted: []}
after:
  description: The common names of the certificates after the change.
  returned: success
  type: dict
  sample: {current: CAPF-1a2b3c4d, next: a new certificate, trusted: []}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import confirm_option, connection_options
from ansible_collections.ucm.capf.plugins.module_utils._certificates import certificate_options, send_certificates
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._result import run, values_diff, warned

_TRUST = {"trusted": "present", "distrusted": "absent"}


def _ask(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    params = module.params
    wanted = {"state": params["state"], "force": params["force"], "dry_run": module.check_mode}
    if params["state"] in _TRUST:
        wanted.update(state=_TRUST[params["state"]], names=params["names"], confirm=params["confirm"])
        return send_certificates(client, "/capf-certificate/trusted", params, wanted)
    wanted.update(renew_before_days=params["renew_before"], replaces=params["replaces"])
    return client.send("PUT", "/capf-certificate", wanted)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    answer = warned(module, _ask(module, client))
    return dict(answer, diff=values_diff(answer["before"], answer["after"]))


def main() -> None:
    states = ["prepared", "active", "discarded", "trusted", "distrusted"]
    options = dict(
        certificate_options(),
        state={"type": "str", "choices": states, "default": "prepared"},
        renew_before={"type": "int"},
        replaces={"type": "str"},
        names={"type": "list", "elements": "str"},
        force={"type": "bool", "default": False},
        **confirm_option(),
    )
    rules = [("state", "trusted", ("certificates", "files"), True), ("state", "distrusted", ("names",))]
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True, required_if=rules), work)


if __name__ == "__main__":
    main()
