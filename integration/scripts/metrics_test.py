"""What Prometheus scrapes is what the command line tells: assigned, exhausted, over quota, released; in one process
and from ipam-service as a process of its own."""

import json
import math
import os
import re
import shutil
import tempfile
import unittest
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from integration.scripts.world import SERVICES, World
from integration.topology import wait_until

_BINARIES = {
    "portolan": "tools/portolan/portolan",
    **{name: f"services/{name}/{name}" for name in SERVICES},
}


def _config(process):
    return {
        "portolan-system:system": {"metrics": {"endpoint": [{"process": process, "port": 0}]}},
        "portolan-pipeline:pipeline": {
            "stages": {"stage": [{"name": name, "enabled": False} for name in ("datapath", "l2", "bgp")]}
        },
        "portolan-ipam:ipam": {
            "pools": {
                "pool": [
                    {"name": "small", "blocks": {"block": [{"id": "a", "first": "20.0.10.1", "last": "20.0.10.2"}]}},
                    {"name": "huge", "auto-assign": False, "blocks": {"block": [{"id": "a", "cidr": "2001:db8::/48"}]}},
                ]
            },
            "quotas": {"quota": [{"name": "one", "namespace": ["limited"], "max-addresses": 1}]},
        },
    }


class Story:
    """A running Portolan whose metrics are served on a port of their own choosing."""

    def __init__(self, way, process):
        self.directory = tempfile.mkdtemp(prefix="portolan-metrics-")
        self.world = World(self.directory, _BINARIES, way, json.dumps(_config(process)))
        server = next(p for p in self.world.processes if p.name == process)
        found = wait_until(
            lambda: re.search(r'"metrics are served".*"port":"(\d+)"', server.log()), what="metrics are served"
        )
        self.url = f"http://127.0.0.1:{found.group(1)}/metrics"

    def close(self):
        self.world.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def add(self, namespace, name):
        service = {"namespace": namespace, "name": name, "port": [{"name": "http", "port": 80}]}
        path = self.world.write(f"{name}.json", json.dumps({"portolan-service:services": {"service": [service]}}))
        self._edit("config", "apply", path)

    def remove(self, namespace, name):
        self._edit("config", "delete", f"/portolan-service:services/service[namespace='{namespace}'][name='{name}']")

    def _edit(self, *words):
        code, said = self.world.portolan(*words)
        if code != 0:
            raise AssertionError(f"{words}: {said}")

    def scrape(self):
        """{(sample, labels as a frozenset): value}; the parser refuses what is not Prometheus' format."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            text = answer.read().decode()
        samples = {}
        for family in text_string_to_metric_families(text):
            if not family.documentation:
                raise AssertionError(f"{family.name} has no help text")
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                if key in samples:
                    raise AssertionError(f"{key} twice")
                samples[key] = sample.value
        return samples

    def value(self, name, **labels):
        return self.scrape().get((name, frozenset(labels.items())))

    def pools(self):
        code, said = self.world.portolan("get", "pools", "-o", "json")
        if code != 0:
            raise AssertionError(said)
        return {(row["pool"], row["family"]): row for row in json.loads(said)}


class MetricsTest(unittest.TestCase):
    def _tell(self, way, process):
        story = Story(way, process)
        self.addCleanup(story.close)

        def becomes(expected, name, **labels):
            wait_until(
                lambda: story.value(name, **labels) == expected,
                what=f"{name}{labels} is {expected}, not {story.value(name, **labels)}",
            )

        story.add("default", "a")
        becomes(1, "portolan_ipam_grants_total", family="ipv4")
        story.add("limited", "b")
        becomes(2, "portolan_ipam_grants_total", family="ipv4")
        story.add("default", "c")
        becomes(1, "portolan_ipam_waiting_services", reason="pool-exhausted")
        story.remove("default", "a")
        becomes(1, "portolan_ipam_releases_total", family="ipv4")
        becomes(3, "portolan_ipam_grants_total", family="ipv4")
        story.remove("default", "c")
        story.add("limited", "d")
        becomes(1, "portolan_ipam_waiting_services", reason="over-quota")
        becomes(0, "portolan_ipam_waiting_services", reason="pool-exhausted")
        becomes(1, "portolan_ipam_pool_addresses_used", pool="small", family="ipv4")
        self._as_told(story)
        samples = story.scrape()
        nothing = frozenset()
        self.assertEqual(samples["portolan_ipam_publish_seconds_count", nothing], 3)
        self.assertEqual(samples["portolan_ipam_wait_seconds_count", nothing], 1)
        self.assertEqual(samples["portolan_ipam_queue_services", nothing], 1)
        self.assertEqual(samples["portolan_ipam_refusals_total", frozenset({("reason", "over-quota")})], 1)
        self.assertGreater(samples["portolan_ipam_journal_writes_total", nothing], 3)
        self.assertEqual(samples["portolan_ipam_journal_failures_total", frozenset({("kind", "full")})], 0)
        allocations = frozenset({("type", "portolan.allocation.v1alpha1.Allocation")})
        self.assertEqual(samples["portolan_stream_entries", allocations], 1)
        self.assertTrue(all(name.startswith(("portolan_", "exposer_")) for name, _ in samples))

    def _as_told(self, story):
        """Every number of `portolan get pools` is among the metrics."""
        told = wait_until(
            lambda: (pools := story.pools())["small", "ipv4"]["used"] == "1" and pools, what="get pools says 1 used"
        )
        self.assertEqual(set(told), {("small", "ipv4"), ("huge", "ipv6")})
        for (pool, family), row in told.items():
            labels = {"pool": pool, "family": family}
            for column in ("total", "used", "available", "reserved"):
                suffix = "" if column == "total" else f"_{column}"
                value = story.value(f"portolan_ipam_pool_addresses{suffix}", **labels)
                # The text format has 16 digits: exact for what fits, near for an IPv6 pool.
                self.assertTrue(math.isclose(value, float(row[column]), rel_tol=1e-15), (pool, column, value))

    def test_one_process_serves_what_the_command_line_tells(self):
        self._tell("standalone", "portolan")

    def test_ipam_service_serves_what_the_command_line_tells(self):
        self._tell("services", "ipam-service")


if __name__ == "__main__":
    unittest.main()
