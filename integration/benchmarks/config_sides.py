"""Our side of the benchmark `config`.

    config_sides PROGRAM IN_FORCE

Prints what PROGRAM prints; then how long a change of one leaf takes until it is in force in every service (in_force.cc): the
five services are processes of their own on one node, with 1,000 pools, 10,000 Services of five backends, 100 BGP peers of
which none answers, an L2 policy that takes all Services, and a datapath by tc.
"""

import json
import os
import shutil
import subprocess
import sys

from integration.topology import Topology, wait_until

_POOLS, _SERVICES, _BACKENDS, _PEERS, _EDITS = 1_000, 10_000, 5, 100, 100
_NAMES = ("config-service", "ipam-service", "l2-announcer", "bgp-exporter", "datapath-loader")
_PINS = "/sys/fs/bpf/portolan"


def configuration():
    pools = [
        {"name": f"p{i}", "blocks": {"block": [{"id": "a", "cidr": f"20.{i // 256}.{i % 256}.0/24"}]}}
        for i in range(_POOLS)
    ]
    peers = [{"name": f"r{i}", "address": f"10.1.0.{i + 1}", "remote-as": 64513} for i in range(_PEERS)]
    services = [
        {
            "namespace": "default",
            "name": f"s{i}",
            "label": [{"key": "round", "value": "r0"}],
            "requested-pool": f"p{i % _POOLS}",
            "port": [{"name": "http", "port": 80}],
            "backend": [
                {"id": f"b{b}", "address": f"10.{2 + i // 256}.{i % 256}.{b + 1}", "node": "a"} for b in range(_BACKENDS)
            ],
        }
        for i in range(_SERVICES)
    ]
    instance = {
        "name": "main",
        "local-as": 64512,
        "router-id": "172.18.255.11",
        "peers": {"peer": peers},
        "advertisements": {"advertisement": [{"name": "all"}]},
    }
    return {
        "portolan-system:system": {"nodes": {"node": [{"name": "a", "ipv4-address": "172.18.255.11"}]}},
        "portolan-ipam:ipam": {"pools": {"pool": pools}},
        "portolan-bgp:bgp": {"instances": {"instance": [instance]}},
        "portolan-l2:l2": {"policies": {"policy": [{"name": "all"}]}},
        "portolan-datapath:datapath": {
            "settings": {"max-frontends": 2 * _SERVICES, "max-backends": 2 * _SERVICES * _BACKENDS},
            "interfaces": {"interface": [{"name": "lan", "mode": "tc"}]},
        },
        "portolan-service:services": {"service": services},
    }


def run(in_force):
    services = in_force.removesuffix("/integration/benchmarks/in_force") + "/services"
    with Topology() as lab:
        host, other = lab.host("node", forwarding=True), lab.host("other")
        lab.link(host, other, ["172.18.255.11/24"], ["172.18.255.1/24"], "lan", "eth0")
        host.add_route("default", via="172.18.255.1")
        run_dir, state_dir = os.path.join(lab.run_dir, "run"), os.path.join(lab.run_dir, "state")
        for directory in (run_dir, state_dir):
            os.mkdir(directory)
        file = os.path.join(lab.run_dir, "configuration.json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(configuration(), out)
        pins = os.path.join(_PINS, lab.prefix)
        for name in _NAMES:
            extra = ["--config", file] if name == "config-service" else []
            extra += ["--bpf-dir", pins] if name in ("l2-announcer", "datapath-loader") else []
            command = [f"{services}/{name}/{name}", "--node", "a", "--run-dir", run_dir, "--state-dir", state_dir]
            host.spawn([*command, *extra], name=name)
        try:
            for name in _NAMES:
                wait_until(lambda: os.path.exists(f"{run_dir}/{name}.sock"), 30, f"{name} listens")
            command = [in_force, run_dir, str(_SERVICES), str(_EDITS)]
            print(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout, end="")
        finally:
            for process in lab.processes:
                process.stop()
            shutil.rmtree(pins, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    print(subprocess.run([sys.argv[1]], check=True, text=True, stdout=subprocess.PIPE).stdout, end="", flush=True)
    run(os.path.abspath(sys.argv[2]))
