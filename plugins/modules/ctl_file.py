#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ctl_file
short_description: Make the cluster's CTL file, when it is outdated
version_added: 0.1.0
description:
  - The CTL file tells phones which security tokens, nodes and CAPF certificates they trust. The server makes it, signed
    by a security token that the last file listed, so that phones accept it.
  - It is outdated when CAPF was activated or its certificate renewed after it was made, when a node was added, removed
    or got another certificate or role, and when a security token was changed.
  - Phones take it when they are reset. M(ucm.capf.files_publish) hands it to the further nodes first.
  - Where a further node has another administrator name or password, it is named and nothing is changed. Nodes that
    cannot be reached are warned of.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  state:
    description: V(current) makes the file where it is missing or outdated, or signed in another way than wanted here.
    type: str
    choices: [current]
    default: current
  digest:
    description: Digest of the signature. Not given, it stays as it is; the first file has V(SHA-512).
    type: str
    choices: [SHA-1, SHA-512]
  signer_version:
    description:
      - Version of the signer. Not given, it is V(1.1) where a certificate has an EC key, and V(1.0) otherwise.
      - V(1.0) is refused where a certificate has an EC key; a node's RSA certificate can be given with
        M(ucm.capf.nodes).
    type: str
    choices: ['1.0', '1.1']
  tokens:
    description:
      - Security tokens that shall be in the two slots. A slot that is not given is left alone. At first, the server has
        made both.
      - Changing both at once is refused, because phones would take no CTL file any more. Change one, have all phones
        take the CTL file, then change the other.
    type: list
    elements: dict
    default: []
    suboptions:
      slot:
        description: The slot.
        type: int
        choices: [1, 2]
        required: true
      certificate_file:
        description:
          - PEM file of the token's certificate, on the host that runs the module.
          - With neither certificate nor key, the slot gets a token that the server makes, unless it has one.
        type: path
      key_file:
        description: PEM file of the token's RSA key. The server keeps it encrypted with a key of its own.
        type: path
      passphrase_file:
        description: File with the passphrase of the key in its first line. The passphrase is kept nowhere.
        type: path
seealso:
  - module: ucm.capf.ctl_file_info
  - module: ucm.capf.nodes
  - module: ucm.capf.files_publish
"""

EXAMPLES = r"""
- name: Make the CTL file where it is outdated
  ucm.capf.ctl_file:
    administrator: admin
    password: "{{ capf_password }}"

- name: Use a security token of our own in the second slot
  ucm.capf.ctl_file:
    administrator: admin
    password: "{{ capf_password }}"
    digest: SHA-1
    tokens:
      - slot: 2
        certificate_file: sast2.pem
        key_file: sast2.key
"""

RETURN = r"""
reasons:
  description: Why the file is made again.
  returned: success
  type: list
  elements: str
  sample: [CAPF was activated after the CTL file was made]
records_added:
  description: The records that come.
  returned: success
  type: list
  elements: dict
records_removed:
  description: The records that go.
  returned: success
  type: list
  elements: dict
unreachable_nodes:
  description: The further nodes that cannot be reached now, and why.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._files import read_pem
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def _text(given: dict[str, t.Any], name: str) -> str | None:
    """Return what is in a file that a token names."""
    return None if given[name] is None else read_pem("tokens slot {} {}".format(given["slot"], name), given[name])


def _token(given: dict[str, t.Any]) -> dict[str, t.Any]:
    passphrase = _text(given, "passphrase_file")
    return {
        "slot": given["slot"],
        "certificate": _text(given, "certificate_file"),
        "private_key": _text(given, "key_file"),
        "passphrase": None if passphrase is None else (passphrase.splitlines() or [""])[0],
    }


def _lines(side: dict[str, t.Any], outdated: list[str]) -> str:
    """Return a CTL file as lines: how it stands, how it is signed, and its records."""
    if not side:
        return ""
    lines = [f"outdated: {reason}" for reason in outdated]
    lines += [f"{name}: {side[name]}" for name in ("digest", "signer_version")]
    lines += ["{role} {node} {subject} (serial number {serial_number})".format(**record) for record in side["records"]]
    return "".join(" ".join(line.split()) + "\n" for line in lines)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in ("state", "digest", "signer_version")}
    tokens = [_token(given) for given in module.params["tokens"]]
    answer = client.send("PUT", "/ctl-file", dict(wanted, tokens=tokens, dry_run=module.check_mode))
    for problem in answer["unreachable"]:
        module.warn(f"node {problem}; hand the CTL file to it later")
    before, after = (answer[side].get("records", []) for side in ("before", "after"))
    return {
        "changed": answer["changed"],
        "reasons": answer["reasons"],
        "records_added": [record for record in after if record not in before],
        "records_removed": [record for record in before if record not in after],
        "unreachable_nodes": answer["unreachable"],
        "diff": {"before": _lines(answer["before"], answer["reasons"]), "after": _lines(answer["after"], [])},
    }


def main() -> None:
    token = {
        "slot": {"type": "int", "choices": [1, 2], "required": True},
        "certificate_file": {"type": "path"},
        "key_file": {"type": "path", "no_log": False},
        "passphrase_file": {"type": "path", "no_log": False},
    }
    options = {
        "state": {"type": "str", "choices": ["current"], "default": "current"},
        "digest": {"type": "str", "choices": ["SHA-1", "SHA-512"]},
        "signer_version": {"type": "str", "choices": ["1.0", "1.1"]},
        "tokens": {"type": "list", "elements": "dict", "default": [], "options": token, "no_log": False},
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
