#include "services/config-service/shell/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string FileWith(const std::string& text) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/file";
  std::ofstream(path) << text;
  return path;
}

class Examples : public ::testing::TestWithParam<const char*> {};

TEST_P(Examples, AreValid) {
  const auto check = CheckFile(std::string("services/config-service/testdata/") + GetParam());
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_THAT(check->problems, IsEmpty()) << ToText(check->problems);
  // The one with every leaf has those, too, that no service reads yet.
  for (const std::string& warning : check->warnings) {
    EXPECT_EQ(std::string(GetParam()), "every-leaf.json");
    EXPECT_THAT(warning, HasSubstr("not-in-force"));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Examples,
                         ::testing::Values("home-l2.json", "router-bgp.json", "dual-stack.json",
                                           "router-bgp-v6.xml", "every-leaf.json"));

TEST(CheckFile, SaysWhenItCannotRead) {
  EXPECT_EQ(CheckFile("/nonexistent/file.json").status().code(), absl::StatusCode::kNotFound);
  const auto directory = CheckFile(std::getenv("TEST_TMPDIR"));
  EXPECT_THAT(std::string(directory.status().message()), HasSubstr("is a directory"));
}

TEST(CheckFile, WarnsOfAPoolThatGivesNothing) {
  const auto check = CheckFile(FileWith(
      R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p",
          "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/24"}]},
          "excluded": {"block": [{"id": "a", "cidr": "20.0.0.0/24"}]}}]}}})"));
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_THAT(check->problems, IsEmpty());
  EXPECT_THAT(check->warnings, ::testing::ElementsAre(HasSubstr("pool p has no address to give")));
}

struct Bad {
  const char* name;
  std::string text;
  int line;  // 0: not known
  std::string path, rule, message, remedy;

  friend void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }
};

std::string Pools(const std::string& pools) {
  return "{\"portolan-ipam:ipam\": {\"pools\": {\"pool\": [\n" + pools + "]}}}";
}

std::string Instance(const std::string& rest) {
  return "{\"portolan-bgp:bgp\": {\"instances\": {\"instance\": [{\n\"name\": \"main\"" + rest +
         "}]}}}";
}

// A Service with more leaves.
std::string OneService(const std::string& rest) {
  return R"({"portolan-service:services": {"service": [{"namespace": "a", "name": "b",)"
         "\n\"port\": [{\"name\": \"x\", \"port\": 80}], " +
         rest + "}]}}";
}

std::string Quotas(const std::string& quotas) {
  return "{\"portolan-ipam:ipam\": {\"quotas\": {\"quota\": [\n" + quotas + "]}}}";
}

// A pool that holds 20.0.0.0/24 without `block`.
std::string Excluding(const std::string& block) {
  return Pools(R"({"name": "p", "blocks": {"block": [{"id": "all", "cidr": "20.0.0.0/24"}]},)"
               "\n\"excluded\": {\"block\": [" +
               block + "]}}");
}

std::string TenThousandAddresses() {
  std::string text = R"("requested-address": [)";
  for (int i = 0; i < 10000; ++i) {
    text += (i == 0 ? "\"20.0." : ",\"20.0.") + std::to_string(i / 256) + "." +
            std::to_string(i % 256) + "\"";
  }
  return text + "]";
}

const char kService[] = "/portolan-service:services/service[namespace='a'][name='b']";
const char kQuota[] = "/portolan-ipam:ipam/quotas/quota[name='q']";
const char kPool[] = "/portolan-ipam:ipam/pools/pool[name='p']";
const char kInstance[] = "/portolan-bgp:bgp/instances/instance[name='main']";

std::vector<Bad> BadPools() {
  const std::string pool = kPool;
  const std::string excluded = pool + "/excluded/block[id='x']";
  return {
      {"ExcludedOutsideThePool", Excluding(R"({"id": "x", "cidr": "20.0.1.0/24"})"), 3, excluded,
       "excluded-outside",
       "excluded block x of pool p (20.0.1.0-20.0.1.255) is outside every block",
       "move it to the pool that holds them"},
      {"ExcludedWithHostBits", Excluding(R"({"id": "x", "cidr": "20.0.0.1/25"})"), 3,
       excluded + "/cidr", "cidr", "excluded block x of pool p", "first address of the prefix"},
      {"ExcludedStartAboveStop",
       Excluding(R"({"id": "x", "first": "20.0.0.9", "last": "20.0.0.1"})"), 3, excluded + "/last",
       "block-order", "first 20.0.0.9 is above last 20.0.0.1", "exchange"},
      {"ExcludedOfTwoFamilies",
       Excluding(R"({"id": "x", "first": "20.0.0.9", "last": "2001:db8::1"})"), 3,
       excluded + "/last", "block-family", "famil", "of one family"},
      {"ExcludedTwice",
       Excluding(R"({"id": "x", "cidr": "20.0.0.0/25"}, {"id": "x", "cidr": "20.0.0.0/25"})"), 3,
       excluded, "duplicate", "block", "remove one"},
      {"ExcludedBothWays",
       Excluding(R"({"id": "x", "cidr": "20.0.0.0/25", "first": "20.0.0.1", "last": "20.0.0.2"})"),
       3, excluded, "choice", "both cases", "keep one"},
      {"PoolTwice", Pools("{\"name\": \"p\"}, {\"name\": \"p\"}"), 2, pool, "duplicate", "pool",
       "remove one"},
      {"TooWideToAvoidBuggyIps",
       Pools(
           R"({"name": "p", "avoid-buggy-ips": true, "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/7"}]}})"),
       2, pool + "/avoid-buggy-ips", "avoid-buggy-ips", "block a of pool p", "shrink the block"},
      {"UnknownOperator",
       Pools(
           R"({"name": "p", "namespace-selector": [{"name": "n", "match-expression": [{"key": "k", "operator": "matches"}]}]})"),
       2, pool + "/namespace-selector[name='n']/match-expression[key='k']/operator", "type",
       "\"matches\"", "in, not-in, exists or does-not-exist"},
      {"NamespaceSelectorWithoutValues",
       Pools(
           R"({"name": "p", "namespace-selector": [{"name": "n", "match-expression": [{"key": "k", "operator": "in"}]}]})"),
       2, pool + "/namespace-selector[name='n']/match-expression[key='k'][operator='in']",
       "selector-values", "need at least one value", ""},
      {"DrainTimeInWords", R"({"portolan-ipam:ipam": {"settings": {"drain-time": "soon"}}})", 1,
       "/portolan-ipam:ipam/settings/drain-time", "type", "soon", "works for so long"},
      {"PluginThatIsNowhere",
       R"({"portolan-system:system": {"plugins": {"plugin": [)"
       "\n"
       R"({"extension-point": "address-picker", "name": "mine"}]}}})",
       2, "/portolan-system:system/plugins/plugin[extension-point='address-picker'][name='mine']",
       "plugin-location", "a plugin has a path or an endpoint", "say where the plugin is"},
      {"TwoProcessesOnOnePort",
       R"({"portolan-system:system": {"metrics": {"endpoint": [{"process": "portolan"},)"
       "\n"
       R"({"process": "ipam-service"}]}}})",
       2, "/portolan-system:system/metrics/endpoint[process='ipam-service']", "data-not-unique",
       "address port", ""},
  };
}

std::vector<Bad> BadDemands() {
  const std::string service = kService;
  const std::string quota = kQuota;
  return {
      {"QuotaWithoutAMaximum", Quotas(R"({"name": "q"})"), 2, quota + "/max-addresses", "mandatory",
       "max-addresses", "How many addresses each namespace may hold"},
      {"QuotaBelowZero", Quotas(R"({"name": "q", "max-addresses": -1})"), 2,
       quota + "/max-addresses", "type", "-1", "How many addresses each namespace may hold"},
      {"QuotaOfNoPool", Quotas(R"({"name": "q", "max-addresses": 1, "pool": ["p"]})"), 2,
       quota + "/pool[.='p']", "instance-required", "there is no pool with the name \"p\"",
       "create what it names"},
      {"SharingWithoutAKey", OneService(R"("sharing": {})"), 2, service + "/sharing/key",
       "mandatory", "key", "equal in the services that share"},
      {"EmptySharingKey", OneService(R"("sharing": {"key": ""})"), 2, service + "/sharing/key",
       "type", "1 to 253 characters", "equal in the services that share"},
      {"LongSharingKey", OneService(R"("sharing": {"key": ")" + std::string(254, 'k') + "\"}"), 2,
       service + "/sharing/key", "type", "1 to 253 characters", "equal in the services that share"},
      {"SharingKeyOfAMegabyte",
       OneService(R"("sharing": {"key": ")" + std::string(1 << 20, 'k') + "\"}"), 2,
       service + "/sharing/key", "type", "1 to 253 characters", "equal in the services that share"},
      {"RequestedPoolOfAMegabyte",
       OneService(R"("requested-pool": ")" + std::string(1 << 20, 'p') + "\""), 2,
       service + "/requested-pool", "type", "1 to 253 characters", "The pool that the addresses"},
      {"RequestedAddressThatIsNone", OneService(R"("requested-address": ["20.0.0.300"])"), 2,
       service + "/requested-address", "type", "\"20.0.0.300\"", "Exactly these addresses"},
      {"UnknownTrafficPolicy", OneService(R"("sharing": {"key": "k", "traffic-policy": "node"})"),
       2, service + "/sharing/traffic-policy", "type", "\"node\"", "cluster or local"},
      {"TwoTrafficPolicies", OneService(R"("traffic-policy": "cluster",
                     "sharing": {"key": "k", "traffic-policy": "local"})"),
       1, service, "traffic-policy", "differ: give both the same value", ""},
      {"UnknownForwardingMode", OneService(R"("forwarding-mode": "magic")"), 2,
       service + "/forwarding-mode", "type", "\"magic\"", "direct-return"},
      {"NoIdleTimeout", OneService(R"("idle-timeout": 0)"), 2, service + "/idle-timeout", "type",
       "1 to 604800 seconds", "idle"},
      {"UdpCheckThatSendsNothing", OneService(R"("health-check": {"type": "udp"})"), 2,
       service + "/health-check", "health-check-send", "needs send", ""},
      {"UnknownState",
       OneService(R"("backend": [{"id": "x", "address": "10.0.0.1", "state": "ill"}])"), 2,
       service + "/backend[id='x']/state", "type", "\"ill\"", "draining"},
      {"SharingWithNoNamespace", OneService(R"("sharing": {"key": "k", "namespace": ["**"]})"), 2,
       service + "/sharing/namespace", "type", "\"**\"", "* for all"},
      {"TooManyPerFamily", OneService(R"("addresses-per-family": 33)"), 2,
       service + "/addresses-per-family", "type", "1 to 32", "of each of its families"},
      {"NonePerFamily", OneService(R"("addresses-per-family": 0)"), 2,
       service + "/addresses-per-family", "type", "1 to 32", "of each of its families"},
      {"TenThousandRequestedAddresses", OneService(TenThousandAddresses()), 2,
       service + "/requested-address[.='20.0.0.64']", "too-many-elements", "requested-address",
       "remove what is too many; what belongs here: Exactly these addresses are wanted, at most "
       "64"},
      {"LoopbackInUse", OneService(R"("address-in-use": ["127.0.0.1"])"), 2,
       service + "/address-in-use[.='127.0.0.1']", "address-reserved", "loopback", "remove it"},
      {"LabelOfAMegabyte",
       OneService(R"("label": [{"key": "k", "value": ")" + std::string(1 << 20, 'v') + "\"}]"), 2,
       service + "/label[key='k']/value", "type", "at most 63", "Value of the label"},
      {"LabelOfANamespace",
       R"({"portolan-service:services": {"namespace": [{"name": "n", "label": [{"key": "a b"}]}]}})",
       1, "/portolan-service:services/namespace[name='n']/label/key", "type", "a label key", ""},
  };
}

// ipam-service's journal in etcd.
std::string Etcd(const std::string& rest) {
  return "{\"portolan-ipam:ipam\": {\"store\": {\"etcd\": {\n" + rest + "}}}}";
}

std::vector<Bad> BadStores() {
  const std::string etcd = "/portolan-ipam:ipam/store/etcd";
  const std::string endpoint = R"("endpoint": ["e:2379"], )";
  return {
      {"EndpointWithoutAPort", Etcd(R"("endpoint": ["192.0.2.1"])"), 2, etcd + "/endpoint", "type",
       "an endpoint is HOST:PORT", "as HOST:PORT"},
      {"NoEndpoint", Etcd(R"("lease-ttl": 5)"), 1, etcd + "/endpoint", "too-few-elements",
       "endpoint", "as HOST:PORT"},
      {"LeaseOfASecond", Etcd(endpoint + R"("lease-ttl": 1)"), 2, etcd + "/lease-ttl", "type",
       "value \"1\" is out of the allowed range", "is replaced"},
      {"EmptyKeyPrefix", Etcd(endpoint + R"("key-prefix": "")"), 2, etcd + "/key-prefix", "type",
       "length is not allowed", "needs another one"},
      {"PasswordOfNobody", Etcd(endpoint + R"("password": "x")"), 2, etcd + "/password",
       "must-violation", "a password needs its user", ""},
      {"TlsWithoutAnAuthority", Etcd(endpoint + R"("tls": {})"), 2, etcd + "/tls/ca-file",
       "mandatory", "ca-file", "authorities that are believed"},
      {"CertificateWithoutItsKey",
       Etcd(endpoint + R"("tls": {"ca-file": "a", "certificate-file": "c"})"), 2,
       etcd + "/tls/certificate-file", "must-violation", "a certificate-file needs its key-file",
       ""},
      {"KeyWithoutItsCertificate", Etcd(endpoint + R"("tls": {"ca-file": "a", "key-file": "k"})"),
       2, etcd + "/tls/key-file", "must-violation", "a key-file needs its certificate-file", ""},
  };
}

std::vector<Bad> BadBlocks() {
  const std::string pool = kPool;
  return {
      {"UnknownLeaf", Pools(R"({"name": "p", "colour": "red"})"), 2, pool, "unknown-node", "colour",
       "this one has portolan-ipam of 2026-11-27"},
      {"StartAboveStop",
       Pools(
           R"({"name": "p", "blocks": {"block": [{"id": "a", "first": "20.0.0.9", "last": "20.0.0.1"}]}})"),
       2, pool + "/blocks/block[id='a']/last", "block-order",
       "first 20.0.0.9 is above last 20.0.0.1", "exchange"},
      {"TwoFamiliesInOneRange",
       Pools(
           R"({"name": "p", "blocks": {"block": [{"id": "a", "first": "20.0.0.1", "last": "2001:db8::1"}]}})"),
       2, pool + "/blocks/block[id='a']/last", "block-family", "block a of pool p",
       "of one family"},
      {"BlockTwice",
       Pools(
           R"({"name": "p", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/24"}, {"id": "a", "cidr": "20.0.1.0/24"}]}})"),
       2, pool + "/blocks/block[id='a']", "duplicate", "block", "remove one"},
      {"UnknownOperatorForServices",
       Pools(
           R"({"name": "p", "service-selector": {"match-expression": [{"key": "k", "operator": "Gt", "value": ["1"]}]}})"),
       2, pool + "/service-selector/match-expression[key='k']/operator", "type", "\"Gt\"",
       "in, not-in, exists or does-not-exist"},
      {"OverlappingPools",
       Pools(R"({"name": "p", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/24"}]}},)"
             "\n"
             R"({"name": "q", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/25"}]}})"),
       3, "/portolan-ipam:ipam/pools/pool[name='q']/blocks/block[id='a']", "pool-overlap",
       "overlaps block a of pool p", "shrink or remove"},
      {"HostBits",
       Pools(R"({"name": "p", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.1/24"}]}})"), 2,
       pool + "/blocks/block[id='a']/cidr", "cidr", "20.0.0.0/24", "first address"},
      {"NotACidr",
       Pools(R"({"name": "p", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.1"}]}})"), 2,
       pool + "/blocks/block[id='a']/cidr", "type", "not a CIDR", "what belongs here"},
      {"BlockWithoutAddresses", Pools(R"({"name": "p", "blocks": {"block": [{"id": "a"}]}})"), 2,
       pool + "/blocks/block[id='a']", "missing-choice", "extent", "add it"},
  };
}

std::vector<Bad> BadInputs() {
  const std::string pool = kPool;
  const std::string instance = kInstance;
  return {
      {"PeerAsZero",
       Instance(
           R"(, "local-as": 1, "peers": {"peer": [{"name": "x", "address": "10.0.0.1", "remote-as": 0}]})"),
       2, instance + "/peers/peer[name='x']/remote-as", "as-number", "0 is reserved",
       "AS number of the peer"},
      {"HoldTimeOne",
       Instance(R"(, "local-as": 1, "peers": {"peer": [{"name": "x", "hold-time": 1}]})"), 2,
       instance + "/peers/peer[name='x']/hold-time", "type", "3 to 65535", "Hold time"},
      {"NotAnAddress",
       Instance(R"(, "local-as": 1, "peers": {"peer": [{"name": "x", "address": "10.0.0.300"}]})"),
       2, instance + "/peers/peer[name='x']/address", "type",
       "\"10.0.0.300\" has none of the forms", "what belongs here: Address of the peer."},
      {"NoLocalAs", Instance(""), 1, instance + "/local-as", "mandatory", "local-as",
       "add it; what belongs here: Our AS number."},
      {"MissingPool",
       R"({"portolan-l2:l2": {"policies": {"policy": [{"name": "x", "pool": ["p"]}]}}})", 1,
       "/portolan-l2:l2/policies/policy[name='x']/pool[.='p']", "instance-required",
       "there is no pool with the name \"p\"", "create what it names"},
      {"MissingPeer",
       Instance(
           R"(, "local-as": 1, "advertisements": {"advertisement": [{"name": "a", "peer": ["x"]}]})"),
       2, instance + "/advertisements/advertisement[name='a']/peer[.='x']", "instance-required",
       "\"x\"", "create what it names"},
      {"SelectorWithoutValues",
       Pools(
           R"({"name": "p", "service-selector": {"match-expression": [{"key": "k", "operator": "in"}]}})"),
       2, pool + "/service-selector/match-expression[key='k'][operator='in']", "selector-values",
       "need at least one value", ""},
      {"DeadBeforeTheNextHeartbeat",
       R"({"portolan-l2:l2": {"settings": {"heartbeat-interval": 1000, "dead-interval": 1000}}})",
       1, "/portolan-l2:l2/settings", "dead-interval", "at least twice", ""},
      {"NewerModule", R"({"portolan-router:router": {}})", 1, "", "unknown-node", "portolan-router",
       "remove it"},
      {"TruncatedJson", "{\"portolan-ipam:ipam\":\n {\"pools\":", 2, "", "syntax", "not JSON",
       "RFC 7951"},
      {"TruncatedXml", "<ipam xmlns=\"urn:portolan:yang:portolan-ipam\">\n<pools>", 2,
       "/portolan-ipam:ipam", "syntax", "", "XML"},
      {"Empty", "", 0, "", "syntax", "empty", ""},
      {"TwoTexts", "{}\n{}", 2, "", "syntax", "not JSON", ""},
  };
}

class BadFiles : public ::testing::TestWithParam<Bad> {};

TEST_P(BadFiles, AreRefusedWithPlaceRuleAndRemedy) {
  const Bad& bad = GetParam();
  const std::string path = FileWith(bad.text);
  const auto check = CheckFile(path);
  ASSERT_TRUE(check.ok()) << check.status();
  ASSERT_EQ(check->problems.size(), 1u) << ToText(check->problems);
  EXPECT_THAT(check->warnings, IsEmpty());
  const Problem& problem = check->problems.front();
  EXPECT_EQ(problem.source, bad.line == 0 ? path : path + ":" + std::to_string(bad.line));
  EXPECT_EQ(problem.path, bad.path);
  EXPECT_EQ(problem.rule, bad.rule);
  EXPECT_THAT(problem.message, HasSubstr(bad.message));
  EXPECT_THAT(problem.remedy, HasSubstr(bad.remedy));
  EXPECT_THAT(problem.remedy, ::testing::Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(Pools, BadFiles, ::testing::ValuesIn(BadPools()),
                         [](const auto& param) { return std::string(param.param.name); });
INSTANTIATE_TEST_SUITE_P(Demands, BadFiles, ::testing::ValuesIn(BadDemands()),
                         [](const auto& param) { return std::string(param.param.name); });
INSTANTIATE_TEST_SUITE_P(Stores, BadFiles, ::testing::ValuesIn(BadStores()),
                         [](const auto& param) { return std::string(param.param.name); });
INSTANTIATE_TEST_SUITE_P(Blocks, BadFiles, ::testing::ValuesIn(BadBlocks()),
                         [](const auto& param) { return std::string(param.param.name); });
INSTANTIATE_TEST_SUITE_P(All, BadFiles, ::testing::ValuesIn(BadInputs()),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace portolan::config
