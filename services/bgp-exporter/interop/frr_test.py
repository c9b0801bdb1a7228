"""bgp-exporter against the real FRR: sessions, routes, restarts and graceful restart."""

import importlib
import json
import os
import signal
import time
import unittest

from integration.topology import CommandFailed, FrrRouter, wait_until

lab_module = importlib.import_module("services.bgp-exporter.interop.laboratory")
NODE_V4, NODE_V6, NODE_AS = lab_module.NODE_V4, lab_module.NODE_V6, lab_module.NODE_AS
ROUTER_V4, ROUTER_V6, ROUTER_AS = lab_module.ROUTER_V4, lab_module.ROUTER_V6, lab_module.ROUTER_AS


def frr_config(remote_as=NODE_AS, local_as=ROUTER_AS, extra=""):
    return f"""
log timestamp precision 3
router bgp {local_as}
 bgp router-id {ROUTER_V4}
 no bgp default ipv4-unicast
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp graceful-restart
 neighbor {NODE_V4} remote-as {remote_as}
 neighbor {NODE_V4} timers 3 9
 neighbor {NODE_V4} timers connect 1
{extra}
 address-family ipv4 unicast
  neighbor {NODE_V4} activate
 exit-address-family
 address-family ipv6 unicast
  neighbor {NODE_V4} activate
 exit-address-family
exit
"""


def routes_of(frr):
    """Prefix -> (next hop, stale) of both families."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for prefix, paths in frr.bgp_routes(family).items():
            hops = [hop["ip"] for hop in paths[0]["nexthops"] if hop.get("scope", "global") == "global"]
            found[prefix] = (hops[0], bool(paths[0].get("stale")))
    return found


class Frr(FrrRouter):
    """FRR whose bgpd can crash."""

    def restart_bgpd(self, config):
        os.remove(os.path.join(self.directory, "bgpd.vty"))  # it tells when the new one is up
        self.daemons["bgpd"] = self._start("bgpd")
        self.configure(config)


@lab_module.needs("vtysh")
class FrrTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__, None, None, None)

    def wait_routes(self, frr, want, timeout=20):
        wait_until(lambda: routes_of(frr) == want, timeout, what=f"routes {want}; there are {routes_of(frr)}")

    def test_exactly_the_wanted_prefixes_with_our_next_hops(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure(
            advertisement={
                "service_selector": {"match_labels": {"color": "red"}},
                "communities": ["65000:100", "no-export"],
            }
        )
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1", labels={"color": "red"})
        self.lab.serve("green", "20.0.10.2", labels={"color": "green"})
        self.lab.start()
        self.lab.wait_established()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False), "2001:db8:beef::1/128": (NODE_V6, False)})

        path = json.loads(frr.vtysh("show bgp ipv4 unicast 20.0.10.1/32 json"))["paths"][0]
        self.assertEqual(path["aspath"]["string"], str(NODE_AS))
        self.assertEqual(path["community"]["string"], "65000:100 no-export")
        self.assertEqual(path["origin"], "IGP")
        neighbor = frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]
        self.assertEqual(neighbor["remoteAs"], NODE_AS)
        self.assertEqual(neighbor["bgpTimerHoldTimeMsecs"], 9000)
        self.assertEqual(neighbor["neighborCapabilities"]["4byteAs"], "advertisedAndReceived")

        peer = self.lab.published("PeerState")["a/lab/tor"]
        self.assertEqual((peer["session_state"], peer["prefixes_sent"], peer["hold_time_s"]), ("established", 2, 9))
        self.assertEqual(
            set(self.lab.published("Route")), {"a/lab/tor/20.0.10.1/32", "a/lab/tor/2001:db8:beef::1/128"}
        )
        self.assertEqual(self.lab.peer_status()["state"], "STATE_READY")
        self.assertEqual(self.lab.service_status("red")["state"], "STATE_READY")
        green = self.lab.service_status("green")
        self.assertEqual(green["reason"], "no-advertisement")
        self.assertIn("color In [red]", green["message"])

        self.lab.unserve("red")
        self.wait_routes(frr, {})
        self.assertEqual(self.lab.published("Route"), {})

    def test_an_address_goes_out_and_away_with_the_datapath(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.serve("blue", "20.0.10.2")
        self.lab.open_gate("red")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.2/32": (NODE_V4, False)})
        self.assertEqual(self.lab.service_status("red")["reason"], "datapath-not-ready")
        self.lab.open_gate("red", "20.0.10.1")
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False), "20.0.10.2/32": (NODE_V4, False)})
        self.lab.open_gate("blue")
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})

    def test_ten_thousand_prefixes_arrive_packed(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.set("PipelineStage", "datapath", name="datapath", enabled=False)
        grants = [{"address": f"20.1.{i // 250}.{i % 250}", "pool": "main"} for i in range(10000)]
        for first in range(0, 10000, 100):
            key = f"default/s{first}"
            self.lab.set("Allocation", key, key=key, grants=grants[first : first + 100])
        self.lab.start()
        self.lab.wait_established()

        def count():
            return frr.show("bgp ipv4 unicast summary")["peers"][NODE_V4]["pfxRcd"]

        wait_until(lambda: count() == 10000, 30, what="all prefixes arrive")
        updates = frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["messageStats"]["updatesRecv"]
        self.assertLess(updates, 40)

    def test_reconnects_after_the_router_restarts(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        frr.daemons["bgpd"].kill()
        wait_until(lambda: self.lab.published("Route") == {}, what="the loss of the session is noticed")
        self.assertEqual(self.lab.service_status("red")["reason"], "peer-not-established")
        frr.restart_bgpd(frr_config())
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)}, timeout=30)

    def test_an_orderly_stop_takes_the_routes_at_once_and_says_why(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        exporter = self.lab.start()
        self.lab.wait_established()
        wait_until(lambda: len(routes_of(frr)) == 2, what="routes")
        self.assertEqual(exporter.stop(), 0)
        self.wait_routes(frr, {}, timeout=5)
        told = frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]
        self.assertIn("Administrative Shutdown", told["lastNotificationReason"])

    def test_routes_survive_a_kill_and_only_the_right_ones_remain(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        self.lab.serve("old", "20.0.10.7")
        exporter = self.lab.start()
        self.lab.wait_established()
        wait_until(lambda: len(routes_of(frr)) == 3, what="routes")
        exporter.kill()
        wait_until(
            lambda: routes_of(frr).get("20.0.10.1/32") == (NODE_V4, True), what="FRR keeps the route as stale"
        )
        self.lab.unserve("old")  # meanwhile

        gone = []
        watch_until = time.monotonic() + 2
        while time.monotonic() < watch_until:
            missing = {"20.0.10.1/32", "2001:db8:beef::1/128"} - set(routes_of(frr))
            gone.extend(missing)
        self.lab.start()
        self.lab.wait_established()

        def renewed():
            now = routes_of(frr)
            gone.extend({"20.0.10.1/32", "2001:db8:beef::1/128"} - set(now))
            return now == {"20.0.10.1/32": (NODE_V4, False), "2001:db8:beef::1/128": (NODE_V6, False)}

        wait_until(renewed, 20, what="fresh routes, and the old one gone")
        self.assertEqual(gone, [], "a wanted route was away for a moment")
        restart = frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["gracefulRestartInfo"]
        self.assertTrue(restart["rBit"])
        for family in ("ipv4Unicast", "ipv6Unicast"):
            self.assertTrue(restart[family]["fBit"])
            self.assertTrue(restart["endOfRibRecv"][family])

    def test_a_silent_router_runs_into_the_hold_timer(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure(peer={"hold_time_s": 3})
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        frr.daemons["bgpd"].send(signal.SIGSTOP)
        self.addCleanup(frr.daemons["bgpd"].send, signal.SIGCONT)
        wait_until(
            lambda: "Hold Timer Expired" in self.lab.published("PeerState")["a/lab/tor"].get("last_error", ""),
            10,
            what="the hold timer expires",
        )
        self.assertEqual(self.lab.published("Route"), {})
        frr.daemons["bgpd"].send(signal.SIGCONT)
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)}, timeout=30)

    def test_a_wrong_remote_as_names_both_numbers_and_the_field(self):
        Frr(self.lab.router, frr_config())
        self.lab.configure(peer={"remote_as": 64999})
        self.lab.start()
        wait_until(lambda: self.lab.peer_status().get("state") == "STATE_REJECTED", what="the peer is rejected")
        status = self.lab.peer_status()
        self.assertIn("the peer says AS 65000, remote-as says 64999", status["message"])
        self.assertIn("remote-as", status["remedy"])
        self.lab.set_peer()
        self.lab.wait_established()

    def test_an_internal_session_carries_local_preference(self):
        frr = Frr(self.lab.router, frr_config(remote_as=ROUTER_AS))
        self.lab.configure(instance={"local_as": ROUTER_AS})
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        path = json.loads(frr.vtysh("show bgp ipv4 unicast 20.0.10.1/32 json"))["paths"][0]
        self.assertEqual(path["aspath"]["string"], "Local")
        self.assertEqual(path["locPrf"], 200)

    def test_a_clear_in_the_router_asks_for_the_routes_again(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        before = frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["messageStats"]["updatesRecv"]
        frr.vtysh(f"clear bgp ipv4 unicast {NODE_V4} in")
        wait_until(
            lambda: frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["messageStats"]["updatesRecv"] > before,
            what="the answer to ROUTE-REFRESH",
        )

    def test_a_hard_reset_drops_the_session_with_a_message_and_brings_it_back(self):
        frr = Frr(self.lab.router, frr_config(extra=" bgp log-neighbor-changes"))
        log = os.path.join(frr.directory, "bgpd.log")
        frr.configure(f"log file {log} \n")
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.lab.tell("reset lab/tor cable-moved")
        wait_until(
            lambda: frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4].get("connectionsEstablished") == 2,
            20,
            what="a second session",
        )
        with open(log, encoding="utf-8") as lines:
            self.assertRegex(lines.read(), r"Cease/Administrative Reset.*\n?.*cable-moved")
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})

    def test_a_soft_reset_sends_the_routes_again_in_the_same_session(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        before = frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["messageStats"]["updatesRecv"]
        self.lab.tell("reset tor -")
        wait_until(
            lambda: frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["messageStats"]["updatesRecv"] > before,
            what="the routes come again",
        )
        self.assertEqual(frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["connectionsEstablished"], 1)

    def test_an_order_for_a_peer_that_is_not_there_is_refused(self):
        self.lab.configure()
        self.lab.start()
        wait_until(lambda: self.lab.published("PeerState"), what="the exporter runs")
        with self.assertRaisesRegex(CommandFailed, "there is no BGP peer lab/rot"):
            self.lab.tell("reset lab/rot -")

    def communities(self, frr, prefix="20.0.10.1/32"):
        paths = json.loads(frr.vtysh(f"show bgp ipv4 unicast {prefix} json")).get("paths", [])
        return paths[0]["community"]["string"] if paths else None

    def test_a_drain_marks_the_routes_withdraws_them_and_is_undone(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.lab.tell("drain 3")
        wait_until(
            lambda: self.communities(frr) == "65000:100 graceful-shutdown", what="the community of RFC 8326"
        )
        self.wait_routes(frr, {})
        self.assertEqual(self.lab.service_status("red")["reason"], "drained")
        self.lab.tell("undrain")
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.assertEqual(self.communities(frr), "65000:100")
        self.assertEqual(frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["connectionsEstablished"], 1)

    def test_a_drain_survives_a_kill(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        exporter = self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.lab.tell("drain 0")
        self.wait_routes(frr, {})
        exporter.kill()
        self.lab.start()
        self.lab.wait_established()
        wait_until(lambda: self.lab.service_status("red").get("reason") == "drained", what="it knows of the drain")
        self.assertEqual(routes_of(frr), {})
        self.lab.tell("undrain")
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})

    def test_a_drained_node_is_the_last_resort_of_an_internal_peer(self):
        frr = Frr(self.lab.router, frr_config(remote_as=ROUTER_AS))
        self.lab.configure(instance={"local_as": ROUTER_AS})
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.lab.tell("drain 60")
        wait_until(
            lambda: json.loads(frr.vtysh("show bgp ipv4 unicast 20.0.10.1/32 json"))["paths"][0]["locPrf"] == 0,
            what="local preference 0",
        )

    def test_a_password_protects_the_session(self):
        frr = Frr(self.lab.router, frr_config(extra=f" neighbor {NODE_V4} password secret"))
        self.lab.configure(peer={"password": "wrong"})
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        wait_until(lambda: self.lab.peer_status().get("state") == "STATE_FAILED", what="the wrong password fails")
        self.assertIn("password", self.lab.peer_status()["remedy"])
        self.lab.set_peer(password="secret")
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})

    def test_the_router_may_dial_us(self):
        # FRR cannot be dialled here: it listens on another port than the one that we try.
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure(instance={"listen_port": 179}, peer={"port": 1})
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False), "2001:db8:beef::1/128": (NODE_V6, False)})

    def test_both_sides_may_dial_at_once(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure(instance={"listen_port": 179})
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.assertEqual(self.lab.peer_status()["state"], "STATE_READY")

    def test_an_ipv6_session_finds_an_ipv4_next_hop(self):
        config = frr_config().replace(NODE_V4, NODE_V6)
        frr = Frr(self.lab.router, config)
        self.lab.configure(peer={"address": ROUTER_V6})
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False), "2001:db8:beef::1/128": (NODE_V6, False)})

    def test_ipv4_routes_with_an_ipv6_next_hop(self):
        extra = f" neighbor {NODE_V6} capability extended-nexthop"
        frr = Frr(self.lab.router, frr_config(extra=extra).replace(NODE_V4, NODE_V6))
        families = [{"family": "IP_FAMILY_IPV4", "next_hop": NODE_V6}]
        self.lab.configure(peer={"address": ROUTER_V6, "families": families})
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V6, False)})

    def test_an_edited_next_hop_replaces_the_old_one_in_the_same_session(self):
        frr = Frr(self.lab.router, frr_config())
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        other = "10.99.0.77"
        families = [{"family": "IP_FAMILY_IPV4", "next_hop": other}, {"family": "IP_FAMILY_IPV6"}]
        self.lab.set_peer(families=families)
        self.wait_routes(frr, {"20.0.10.1/32": (other, False)})
        self.assertEqual(frr.show(f"bgp neighbors {NODE_V4}")[NODE_V4]["connectionsEstablished"], 1)

    def test_a_family_that_the_router_lacks_is_told_and_the_other_goes_on(self):
        both = f" address-family ipv6 unicast\n  neighbor {NODE_V4} activate\n"
        frr = Frr(self.lab.router, frr_config().replace(both, " address-family ipv6 unicast\n"))
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        self.lab.start()
        self.wait_routes(frr, {"20.0.10.1/32": (NODE_V4, False)})
        self.assertEqual(self.lab.peer_status()["reason"], "family-not-agreed")
        self.assertEqual(self.lab.service_status("red")["state"], "STATE_DEGRADED")
