"""The story: each step commits a piece of configuration and watches the network follow."""

import ipaddress
import json
import os
import subprocess
import time

from integration.quickstart import configuration, laboratory
from integration.quickstart.narrator import StepFailed

_DRIP_S = 8


class Story:
    """Plays the steps in a laboratory; StepFailed says which expectation did not hold.

    `prompt_s` is how soon a pool serves who waits for it.
    """

    def __init__(self, lab, narrator, prompt_s=1.0):
        self.lab = lab
        self.prompt_s = prompt_s
        self.narrator = narrator
        self.portolan = lab.binary
        self.node_a, self.node_b = lab.nodes
        self.names = [node.name for node in lab.nodes]
        self.sockets = [node.socket for node in lab.nodes]

    def play(self):
        self.start()
        self.a_service_waits_for_a_pool()
        self.a_pool_serves_it()
        self.selectors_decide()
        self.dual_stack()
        self.the_lan_learns()
        self.the_router_learns()
        self.a_crash_is_survived()
        self.table()

    # -- steps

    def start(self):
        self.narrator.step("Portolan starts on node a; node b joins it")
        config = self._write("base", configuration.base(self.names))
        self.node_a.start(self.portolan, "--config", config)
        self._answers(self.node_a)
        self.node_b.start(self.portolan, "--join", f"unix:{self.node_a.socket}")
        self._answers(self.node_b)
        self.narrator.say(f"  state directory: {self.node_a.state_dir}")
        self.narrator.say(f"  log: {self.node_a.process.log_path}")

    def a_service_waits_for_a_pool(self):
        self.narrator.step("1. A Service is declared; no pool exists")
        self._apply("service-blue", configuration.service(self.names, "tenant-a", "service-blue", "blue"))
        story = self._until_explained("tenant-a/service-blue", lambda s: s["state"] == "pending" and _reason(s, "ipam"))
        self._explain("tenant-a/service-blue", expect=3)
        self.narrator.expect(_reason(story, "ipam") == "no-pool", "it is pending because there is no pool")

    def a_pool_serves_it(self):
        self.narrator.step("2. A pool 20.0.10.0/24 is committed")
        self._apply("pool", configuration.pool("pool", ["20.0.10.0/24"]))
        start = time.monotonic()
        addresses = self._until_addresses("tenant-a/service-blue", within=["20.0.10.0/24"])
        self.narrator.expect(
            time.monotonic() - start < self.prompt_s,
            f"tenant-a/service-blue got {addresses[0]} within {self.prompt_s:g} s",
        )

    def selectors_decide(self):
        self.narrator.step("3. Pools with selectors: red fits the first, green waits for a second")
        colors = ("color", "in", ["yellow", "red", "blue"])
        self._apply("pool-primary", configuration.pool("pool-primary", ["60.0.10.0/24"], match_expression=colors))
        pool = "/portolan-ipam:ipam/pools/pool[name='pool']"
        self._plan_deletion(pool)
        self._delete(pool, "--allow-renumber")
        self._until_addresses("tenant-a/service-blue", within=["60.0.10.0/24"])
        self._apply("service-red", configuration.service(self.names, "tenant-b", "service-red", "red"))
        self._apply("service-green", configuration.service(self.names, "tenant-b", "service-green", "green"))
        self._until_addresses("tenant-b/service-red", within=["60.0.10.0/24"])
        self._until_explained("tenant-b/service-green", lambda s: _reason(s, "ipam") == "selector-mismatch")
        told = self._explain("tenant-b/service-green", expect=3)
        self.narrator.expect(
            "color In [blue, red, yellow]" in told and "pool-primary" in told,
            "explain names the pool and the selector that did not match",
        )
        self._apply("pool-green", configuration.pool("pool-green", ["40.0.10.0/24"], match_label=("color", "green")))
        self._until_addresses("tenant-b/service-green", within=["40.0.10.0/24"])

    def dual_stack(self):
        self.narrator.step("4. Dual stack: one Service, an IPv4 and an IPv6 address")
        empire = ("org", "empire")
        prefixes = ["172.18.255.200/29", laboratory.CLIENT_V6_POOL]
        self._apply("empire-pool", configuration.pool("empire", prefixes, match_label=empire))
        self._apply("deathstar", configuration.service(self.names, "batuu", "deathstar", dual=True, label=empire))
        self._until_addresses("batuu/deathstar", within=prefixes)

    def the_lan_learns(self):
        self.narrator.step("5. L2: the client on the LAN asks who has the addresses")
        self._apply("l2-policy", configuration.l2_policy("empire", ("org", "empire")))
        addresses = self._addresses("batuu/deathstar")
        macs = {node.name: node.host.mac("lan") for node in self.lab.nodes}
        for address in addresses:
            owner = self.narrator.until(lambda a=address: self._owner(a), f"{address} has an announcing node")
            url = _url(address)
            self._curl(self.lab.client, "client", url)
            mac = self.lab.client.neighbours().get(address)
            self.narrator.expect(
                mac == macs[owner], f"the client's neighbour table has {address} at {mac}, node {owner}'s MAC"
            )
        self.narrator.command(
            self.lab.client.command(["ip", "neighbour", "show"]), "client: ip neighbour show", quiet=False
        )

    def the_router_learns(self):
        self.narrator.step("6. BGP: the router learns exactly what the selector chose")
        self._apply("bgp", configuration.bgp(laboratory.ROUTER_V4, ("color", "in", ["red", "green"])))
        chosen = self._addresses("tenant-b/service-red") + self._addresses("tenant-b/service-green")
        self._until_routes(chosen)
        self._show_routes()
        for address in chosen:
            self._curl(self.lab.remote, "remote client behind the router", _url(address))
        self._an_ipv6_route_too()
        gone = self._addresses("tenant-b/service-green")
        self._delete("/portolan-service:services/service[namespace='tenant-b'][name='service-green']")
        self._until_routes(
            self._addresses("tenant-b/service-red") + self._addresses("tenant-c/service-rebel")
        )
        self.narrator.say(f"  removing the Service withdrew {', '.join(gone)}")

    def _an_ipv6_route_too(self):
        """A Service of both families that the advertisement's selector chooses."""
        rebel = ("org", "rebel")
        self._apply("rebel-pool", configuration.pool("rebel", ["20.0.20.0/24", "2001:db8:2::/64"], match_label=rebel))
        self._apply("rebel", configuration.service(self.names, "tenant-c", "service-rebel", "red", dual=True, label=rebel))
        addresses = self._until_addresses("tenant-c/service-rebel", within=["60.0.10.0/24", "20.0.20.0/24", "2001:db8:2::/64"])
        self._until_routes(
            self._addresses("tenant-b/service-red") + self._addresses("tenant-b/service-green") + addresses
        )
        self._show_routes()
        for address in addresses:
            self._curl(self.lab.remote, "remote client behind the router", _url(address))

    def a_crash_is_survived(self):
        self.narrator.step("7. kill -9 of Portolan on node a while flows run")
        before = self._all_addresses()
        states = self._states()
        routes = self._bgp_prefixes()
        flows = self._start_flows()
        self.narrator.until(lambda: all(flow.lines() > 3 for flow in flows), "flows run through the datapath")
        self.node_a.process.kill()
        self.narrator.say(f"$ kill -9 {self.node_a.process.pid}")
        at_kill = [flow.lines() for flow in flows]
        self.narrator.expect(self._bgp_prefixes() == routes, "the router keeps its routes (RFC 4724)")
        self.narrator.until(
            lambda: all(flow.lines() > seen + 10 for flow, seen in zip(flows, at_kill)),
            "every flow went on for another second without Portolan",
        )
        self.node_a.start(self.portolan, "--config", os.path.join(self.lab.topology.run_dir, "base.json"))
        self._answers(self.node_a)
        after = self.narrator.until(
            lambda: self._all_addresses() == before and before, "after the restart: the same addresses"
        )
        for key, addresses in sorted(after.items()):
            self.narrator.say(f"    {key}: {', '.join(addresses)}")
        self.narrator.until(
            lambda: self._states() == states, "every Service is in the state that it was in", timeout=30
        )
        for flow in flows:
            flow.finish(self.narrator)
        self.narrator.expect(self._bgp_prefixes() == routes, "the router's routes are the same")
        for address in self._addresses("batuu/deathstar"):
            self._curl(self.lab.client, "client", _url(address))
        for address in self._addresses("tenant-b/service-red"):
            self._curl(self.lab.remote, "remote client behind the router", _url(address))

    def table(self):
        self.narrator.step("What runs now")
        self._portolan("get", "services")
        self._portolan("get", "pools")
        self._portolan("get", "peers")

    # -- asking

    def _portolan(self, *words, expect=(0,), quiet=False):
        sockets = [word for socket in self.sockets for word in ("--socket", socket)]
        return self.narrator.command(
            [self.portolan, *sockets, *words], "portolan " + " ".join(words), expect=expect, quiet=quiet
        )

    def _ask(self, *words):
        sockets = [word for socket in self.sockets for word in ("--socket", socket)]
        done = subprocess.run(
            [self.portolan, *sockets, *words, "-o", "json"], capture_output=True, text=True, timeout=20, check=False
        )
        return json.loads(done.stdout)

    def _services(self):
        return self._ask("get", "services")

    def _all_addresses(self):
        return {row["service"]: row["addresses"] for row in self._services()}

    def _states(self):
        return {row["service"]: row["state"] for row in self._services()}

    def _addresses(self, key):
        return self._all_addresses().get(key, [])

    def _owner(self, address):
        for row in self._ask("get", "announcements"):
            if row["address"] == address and row["state"] == "owner":
                return row["node"]
        return None

    def _explain(self, key, expect):
        return self._portolan("explain", "service", key, expect=(expect,))

    # -- acting

    def _write(self, name, data):
        path = os.path.join(self.lab.topology.run_dir, f"{name}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2)
        return path

    def _apply(self, name, data):
        path = self._write(name, data)
        sockets = ["--socket", self.node_a.socket]
        self.narrator.command(
            [self.portolan, *sockets, "config", "apply", path], f"portolan config apply {name}.json"
        )

    def _plan_deletion(self, path):
        """Shows who would lose an address; without permission the deletion is refused."""
        command = [self.portolan, "--socket", self.node_a.socket, "plan", "--delete", path]
        told = self.narrator.command(command, f'portolan plan --delete "{path}"', expect=(3,))
        self.narrator.expect(
            "tenant-a/service-blue" in told, "without --allow-renumber this is refused: service-blue would move"
        )

    def _delete(self, path, *flags):
        sockets = ["--socket", self.node_a.socket]
        self.narrator.command(
            [self.portolan, *sockets, "config", "delete", path, *flags],
            " ".join(["portolan config delete", f'"{path}"', *flags]),
        )

    def _curl(self, host, who, url):
        def answered():
            done = host.run(["curl", "-s", "--max-time", "2", url], timeout=5, check=False)
            return done.stdout.strip() if done.returncode == 0 else None

        self.narrator.until(answered, f"{who}: curl {url} is answered", timeout=10)
        self.narrator.command(host.command(["curl", "-s", "--max-time", "5", url]), f"{who}: curl {url}")

    def _start_flows(self):
        on_lan = self._addresses("batuu/deathstar")
        routed = self._addresses("tenant-b/service-red") + self._addresses("tenant-c/service-rebel")
        return [
            *(_Flow(self.lab.client, address) for address in on_lan),
            *(_Flow(self.lab.remote, address) for address in routed),
        ]

    # -- waiting

    def _answers(self, node):
        def answered():
            if not node.process.running:
                raise StepFailed(f"portolan on node {node.name} ended; its log:\n{node.process.log()[-3000:]}")
            done = subprocess.run(
                [self.portolan, "--socket", node.socket, "get", "peers"], capture_output=True, timeout=20, check=False
            )
            return done.returncode == 0

        self.narrator.until(answered, f"portolan on node {node.name} answers", timeout=20)

    def _until_explained(self, key, condition):
        def asked():
            story = self._ask("explain", "service", key)
            return story if condition(story) else None

        return self.narrator.until(asked, f"{key} has its status")

    def _until_addresses(self, key, within):
        networks = [ipaddress.ip_network(prefix) for prefix in within]

        def assigned():
            addresses = self._addresses(key)
            fits = all(any(ipaddress.ip_address(a) in n for n in networks) for a in addresses)
            families = {ipaddress.ip_address(a).version for a in addresses}
            return addresses if addresses and fits and families == {n.version for n in networks} else None

        addresses = self.narrator.until(assigned, f"{key} has an address of {', '.join(within)}")
        self.narrator.say(f"    {key}: {', '.join(addresses)}")
        return addresses

    def _bgp_prefixes(self):
        """Prefix -> sorted next hops, of both families, as FRR lists them."""
        table = {}
        for family in ("ipv4", "ipv6"):
            for prefix, paths in self.lab.router.bgp_routes(family).items():
                hops = {hop["ip"] for path in paths for hop in path["nexthops"] if hop.get("scope") != "link-local"}
                table[prefix] = sorted(hops)
        return table

    def _until_routes(self, addresses):
        wanted = {}
        for address in addresses:
            v6 = ":" in address
            hops = ["fd00:18::11", "fd00:18::12"] if v6 else ["172.18.255.11", "172.18.255.12"]
            wanted[str(ipaddress.ip_network(address))] = hops
        self.narrator.until(
            lambda: self._bgp_prefixes() == wanted,
            f"the router lists exactly {', '.join(sorted(wanted))}, next hops the two nodes",
            timeout=20,
        )

    def _show_routes(self):
        for family in ("ipv4", "ipv6"):
            self.narrator.command(
                self.lab.router_host.command(
                    ["vtysh", "--vty_socket", self.lab.router.directory, "-c", f"show bgp {family} unicast"]
                ),
                f"router: show bgp {family} unicast",
            )


class _Flow:
    """One long HTTP answer, a line every 100 ms."""

    def __init__(self, host, address):
        self._name = f"flow-{address.replace(':', '-')}"
        self._address = address
        self._process = host.spawn(
            ["curl", "-sN", "--max-time", str(_DRIP_S * 4), f"{_url(address)}drip?seconds={_DRIP_S}"], name=self._name
        )

    def lines(self):
        return self._process.log().count("\n")

    def finish(self, narrator):
        narrator.until(lambda: not self._process.running, f"the flow to {self._address} ends", timeout=_DRIP_S * 4)
        if self._process.returncode != 0:
            raise StepFailed(f"the flow to {self._address} broke: curl exit code {self._process.returncode}")
        narrator.say(f"    {self._address}: {self.lines()} lines, none lost")


def _url(address):
    return f"http://[{address}]/" if ":" in address else f"http://{address}/"


def _reason(story, component):
    for step in story["steps"]:
        if step["component"] == component:
            return step["reason"]
    return None
