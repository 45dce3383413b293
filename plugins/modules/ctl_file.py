#!/usr/bin/python

# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ctl_file
short_description: Make the cluster's CTL file if it is missing or outdated
version_added: 0.1.0
description:
  - The CTL file tells phones which security tokens, nodes and CAPF certificates to trust. The server signs a new file
    with a security token that the previous file listed, so that phones accept it.
  - The file becomes outdated when CAPF is activated or its certificate is renewed, when a node is added or removed or
    its certificate or role changes, and when a security token changes.
  - Phones fetch the file when they are reset. Publish it to the subscribers first with M(ucm.capf.files_publish).
  - If a subscriber has a different administrator name or password, the module names it and changes nothing. It only
    warns about nodes that cannot be reached.
author:
  - The ucm.capf founders (@ucm-capf)
extends_documentation_fragment:
  - ucm.capf.connection
  - ucm.capf.attributes
  - ucm.capf.attributes.action_group
  - ucm.capf.attributes.changes
options:
  state:
    description: V(present) makes the file if it is missing, outdated, or not signed as requested.
    type: str
    choices: [present]
    default: present
  digest:
    description: Digest of the signature. By default it does not change; the first file uses V(SHA-512).
    type: str
    choices: [SHA-1, SHA-512]
  signer_version:
    description:
      - Version of the signer. By default it is V(1.1) if a certificate has an EC key, and V(1.0) otherwise.
      - V(1.0) is refused if a certificate has an EC key; set an RSA certificate for the node with M(ucm.capf.nodes).
    type: str
    choices: ['1.0', '1.1']
  tokens:
    description:
      - Security tokens for the two slots. A slot that is not listed is left alone. Initially the server makes both
        tokens.
      - Changing both at once is refused, because phones would no longer accept any CTL file. Change one, wait until
        all phones have the new CTL file, then change the other.
    type: list
    elements: dict
    suboptions:
      slot:
        description: The slot.
        type: int
        choices: [1, 2]
        required: true
      certificate_file:
        description:
          - PEM file of the token's certificate, on the host that runs the module.
          - Without a certificate and a key, the server makes a token for the slot unless it already made one.
        type: path
      key_file:
        description: PEM file of the token's RSA key. The server stores it encrypted with its own key.
        type: path
      passphrase_file:
        description: File with the passphrase of the key in its first line. The passphrase is not stored.
        type: path
seealso:
  - module: ucm.capf.ctl_file_info
  - module: ucm.capf.nodes
  - module: ucm.capf.files_publish
"""

EXAMPLES = r"""
- name: Make the CTL file if it is outdated
  ucm.capf.ctl_file:

- name: Use your own security token in the second slot
  ucm.capf.ctl_file:
    digest: SHA-1
    tokens:
      - slot: 2
        certificate_file: sast2.pem
        key_file: sast2.key
"""

RETURN = r"""
reasons:
  description: Why the file is made.
  returned: success
  type: list
  elements: str
  sample: [CAPF was activated after the CTL file was made]
records_added:
  description: The records that are new in the file.
  returned: success
  type: list
  elements: dict
  sample: [{role: CAPF, node: node1.example.com, subject: CN=CAPF-1a2b3c4d, serial_number: 1A2B3C4D}]
records_removed:
  description: The records that are no longer in the file.
  returned: success
  type: list
  elements: dict
  sample: []
unreachable_nodes:
  description: The subscribers that cannot be reached, and why.
  returned: success
  type: list
  elements: str
  sample: ["tftp1.example.com: Connection refused"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ucm.capf.plugins.module_utils._argspec import connection_options
from ansible_collections.ucm.capf.plugins.module_utils._client import Client
from ansible_collections.ucm.capf.plugins.module_utils._files import read_pem
from ansible_collections.ucm.capf.plugins.module_utils._result import run


def _text(given: dict[str, t.Any], name: str) -> str | None:
    """Return the content of a file that a token names."""
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
    """Return a CTL file as lines: why it is outdated, how it is signed, and its records."""
    if not side:
        return ""
    lines = [f"outdated: {reason}" for reason in outdated]
    lines += [f"{name}: {side[name]}" for name in ("digest", "signer_version")]
    lines += ["{role} {node} {subject} (serial number {serial_number})".format(**record) for record in side["records"]]
    return "".join(" ".join(line.split()) + "\n" for line in lines)


def work(module: AnsibleModule, client: Client) -> dict[str, t.Any]:
    wanted = {name: module.params[name] for name in ("state", "digest", "signer_version")}
    tokens = [_token(given) for given in module.params["tokens"] or ()]
    answer = client.send("PUT", "/ctl-file", dict(wanted, tokens=tokens or None, dry_run=module.check_mode))
    for problem in answer["unreachable"]:
        module.warn(f"node {problem}; publish the CTL file to it later")
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
        "state": {"type": "str", "choices": ["present"], "default": "present"},
        "digest": {"type": "str", "choices": ["SHA-1", "SHA-512"]},
        "signer_version": {"type": "str", "choices": ["1.0", "1.1"]},
        "tokens": {"type": "list", "elements": "dict", "options": token, "no_log": False},
    }
    run(AnsibleModule(dict(connection_options(), **options), supports_check_mode=True), work)


if __name__ == "__main__":
    main()
