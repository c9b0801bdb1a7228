"""The YANG instance data (RFC 7951) that the story commits, piece by piece. `nodes` are the names of nodes a and b."""

# Of each node.
BACKENDS_V4 = ({"a1": "10.244.1.11", "a2": "10.244.1.12"}, {"b1": "10.244.2.11", "b2": "10.244.2.12"})
BACKENDS_V6 = ({"a1": "fd00:244:1::11", "a2": "fd00:244:1::12"}, {"b1": "fd00:244:2::11", "b2": "fd00:244:2::12"})


def base(nodes):
    """What portolan starts with: the nodes and the interfaces that the datapath serves."""
    return {
        "portolan-system:system": {
            "nodes": {
                "node": [
                    {"name": nodes[0], "ipv4-address": "172.18.255.11", "ipv6-address": "fd00:18::11"},
                    {"name": nodes[1], "ipv4-address": "172.18.255.12", "ipv6-address": "fd00:18::12"},
                ]
            }
        },
        # Short, so that the story need not wait for what drains.
        "portolan-ipam:ipam": {"settings": {"drain-time": 2}},
        "portolan-datapath:datapath": {
            "interfaces": {"interface": [{"name": "lan", "mode": "xdp"}, {"name": "pods", "mode": "tc"}]}
        },
    }


def _backends(nodes, addresses, suffix=""):
    return [
        {"id": f"{backend}{suffix}", "address": address, "node": node}
        for node, of_node in zip(nodes, addresses)
        for backend, address in of_node.items()
    ]


def service(nodes, namespace, name, color=None, port=80, target_port=8080, dual=False, label=None):
    """A Service with the laboratory's four backends."""
    labels = [{"key": "color", "value": color}] if color else []
    if label:
        labels.append({"key": label[0], "value": label[1]})
    backends = _backends(nodes, BACKENDS_V4)
    if dual:
        backends += _backends(nodes, BACKENDS_V6, "-v6")
    entry = {
        "namespace": namespace,
        "name": name,
        "label": labels,
        "port": [{"name": "http", "protocol": "tcp", "port": port, "target-port": target_port}],
        "backend": backends,
    }
    if dual:
        entry["family-policy"] = "require-dual-stack"
    return {"portolan-service:services": {"service": [entry]}}


def pool(name, cidrs, match_label=None, match_expression=None):
    """A pool of these prefixes, with an optional selector."""
    entry = {
        "name": name,
        "blocks": {"block": [{"id": str(index), "cidr": cidr} for index, cidr in enumerate(cidrs)]},
    }
    selector = {}
    if match_label:
        selector["match-label"] = [{"key": match_label[0], "value": match_label[1]}]
    if match_expression:
        key, operator, values = match_expression
        selector["match-expression"] = [{"key": key, "operator": operator, "value": values}]
    if selector:
        entry["service-selector"] = selector
    return {"portolan-ipam:ipam": {"pools": {"pool": [entry]}}}


def l2_policy(name, match_label):
    """Announce the Services with this label on the interface `lan`."""
    return {
        "portolan-l2:l2": {
            "policies": {
                "policy": [
                    {
                        "name": name,
                        "service-selector": {"match-label": [{"key": match_label[0], "value": match_label[1]}]},
                        "interface": ["lan"],
                    }
                ]
            }
        }
    }


def bgp(peer_address, match_expression):
    """One instance, the router as its peer, one advertisement with a selector."""
    key, operator, values = match_expression
    return {
        "portolan-bgp:bgp": {
            "instances": {
                "instance": [
                    {
                        "name": "main",
                        "local-as": 65001,
                        "peers": {
                            "peer": [
                                {
                                    "name": "tor",
                                    "address": peer_address,
                                    "remote-as": 65000,
                                    "families": {"family": [{"name": "ipv4"}, {"name": "ipv6"}]},
                                }
                            ]
                        },
                        "advertisements": {
                            "advertisement": [
                                {
                                    "name": "colors",
                                    "service-selector": {
                                        "match-expression": [{"key": key, "operator": operator, "value": values}]
                                    },
                                }
                            ]
                        },
                    }
                ]
            }
        }
    }
