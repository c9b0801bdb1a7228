#include "services/bgp-exporter/core/message.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace portolan::bgp {
namespace {

using net::Family;

std::string Hex(absl::string_view text) {
  return absl::HexStringToBytes(absl::StrReplaceAll(text, {{" ", ""}}));
}

std::string Message(uint8_t type, absl::string_view body_hex) {
  return WithHeader(static_cast<MessageType>(type), Hex(body_hex));
}

// Header check, then body check, as a session does it.
std::optional<Decoded<bgp::Message>> DecodeOctets(const std::string& octets,
                                                  bool four_octet_as = true) {
  const auto frame = NextFrame(AsOctets(octets));
  if (!frame.has_value()) return std::nullopt;
  if (const auto* error = std::get_if<ProtocolError>(&*frame)) return *error;
  return Decode(std::get<Frame>(*frame), four_octet_as);
}

// "code/subcode data-in-hex", "ok" or "more".
std::string Outcome(const std::string& octets) {
  const auto decoded = DecodeOctets(octets);
  if (!decoded.has_value()) return "more";
  const auto* error = std::get_if<ProtocolError>(&*decoded);
  if (error == nullptr) return "ok";
  EXPECT_FALSE(error->text.empty());
  const Notification& notification = error->notification;
  return absl::StrCat(notification.code, "/", notification.subcode, " ",
                      absl::BytesToHexString(notification.data));
}

template <typename T>
T Get(const std::string& octets, bool four_octet_as = true) {
  const auto decoded = DecodeOctets(octets, four_octet_as);
  if (!decoded.has_value() || std::holds_alternative<ProtocolError>(*decoded)) {
    ADD_FAILURE() << Outcome(octets);
    return T();
  }
  return std::get<T>(std::get<bgp::Message>(*decoded));
}

constexpr absl::string_view kMarker = "ffffffffffffffffffffffffffffffff";

TEST(Header, IsCheckedAsRfc4271Section61Says) {
  const struct {
    absl::string_view name;
    std::string octets;
    absl::string_view want;
  } kCases[] = {
      {"nothing", "", "more"},
      {"a partial header", Hex(absl::StrCat(kMarker, "0013")), "more"},
      {"a keepalive", EncodeKeepalive(), "ok"},
      {"a marker with a zero", Hex("ffffffffffffff00ffffffffffffffff 0013 04"), "1/1 "},
      {"length below 19", Hex(absl::StrCat(kMarker, "0012 04")), "1/2 0012"},
      {"length above 4096", Hex(absl::StrCat(kMarker, "1001 02")), "1/2 1001"},
      {"a long keepalive", Hex(absl::StrCat(kMarker, "0014 04 00")), "1/2 0014"},
      {"a short OPEN", Hex(absl::StrCat(kMarker, "001c 01")), "1/2 001c"},
      {"a short UPDATE", Hex(absl::StrCat(kMarker, "0016 02")), "1/2 0016"},
      {"a short NOTIFICATION", Hex(absl::StrCat(kMarker, "0014 03")), "1/2 0014"},
      {"an unknown type", Hex(absl::StrCat(kMarker, "0013 09")), "1/3 09"},
      {"type zero", Hex(absl::StrCat(kMarker, "0013 00")), "1/3 00"},
  };
  for (const auto& test : kCases) EXPECT_EQ(Outcome(test.octets), test.want) << test.name;
}

TEST(Open, RoundTripsEveryCapabilityThatWeKnow) {
  Open open;
  open.as_number = 4'200'000'001;
  open.hold_time_s = 90;
  open.router_id = 0x0a000001;
  open.families = {Family::kIpv4, Family::kIpv6};
  open.four_octet_as = true;
  open.route_refresh = true;
  open.ipv4_over_ipv6_hop = true;
  open.graceful_restart = GracefulRestart{
      .restarting = true,
      .restart_time_s = 120,
      .families = {{Family::kIpv4, true}, {Family::kIpv6, false}},
  };
  const std::string octets = EncodeOpen(open);
  EXPECT_EQ(absl::BytesToHexString(octets.substr(20, 2)), "5ba0") << "AS_TRANS in the old field";
  EXPECT_EQ(Get<Open>(octets), open);
}

TEST(Open, WithoutCapabilitiesMeansTwoOctetAsAndIpv4) {
  const Open open = Get<Open>(Message(1, "04 fde8 005a 0a000001 00"));
  EXPECT_EQ(open.as_number, 65000u);
  EXPECT_FALSE(open.four_octet_as);
  EXPECT_FALSE(open.families.has_value());
}

TEST(Open, IsReadInEveryForm) {
  const struct {
    absl::string_view name, body;
  } kCases[] = {
      {"several parameters", "04 fde8 005a 0a000001 0e 02 06 01 04 0001 00 01 02 04 41 02 0000"},
      {"unknown capability", "04 fde8 005a 0a000001 06 02 04 f0 02 aabb"},
      {"one parameter, several capabilities",
       "04 fde8 005a 0a000001 0e 02 0c 01 04 0001 00 01 41 04 0000fde8"},
      {"extended parameters, RFC 9072", "04 fde8 005a 0a000001 ff ff 0009 02 0006 41 04 0000fde8"},
      {"extended parameters with another old length",
       "04 fde8 005a 0a000001 01 ff 0009 02 0006 41 04 0000fde8"},
  };
  for (const auto& test : kCases) {
    const std::string outcome = Outcome(Message(1, test.body));
    if (test.name == "several parameters") {
      EXPECT_EQ(outcome, "2/0 ") << "capability 65 of two octets is malformed";
    } else {
      EXPECT_EQ(outcome, "ok") << test.name;
    }
  }
}

TEST(Open, IsRefusedAsRfc4271Section62Says) {
  const struct {
    absl::string_view name, body, want;
  } kCases[] = {
      {"version 3", "03 fde8 005a 0a000001 00", "2/1 0004"},
      {"AS 0", "04 0000 005a 0a000001 00", "2/2 "},
      {"AS 0 in the capability", "04 5ba0 005a 0a000001 08 02 06 41 04 00000000", "2/2 "},
      {"identifier 0", "04 fde8 005a 00000000 00", "2/3 "},
      {"unknown parameter", "04 fde8 005a 0a000001 02 01 00", "2/4 "},
      {"hold time 1", "04 fde8 0001 0a000001 00", "2/6 "},
      {"hold time 2", "04 fde8 0002 0a000001 00", "2/6 "},
      {"hold time 0", "04 fde8 0000 0a000001 00", "ok"},
      {"parameters longer than the message", "04 fde8 005a 0a000001 03 02 00", "2/0 "},
      {"parameters shorter than the message", "04 fde8 005a 0a000001 00 02 00", "2/0 "},
      {"capability cut off", "04 fde8 005a 0a000001 04 02 02 41 04", "2/0 "},
      {"parameter cut off", "04 fde8 005a 0a000001 03 02 04 41", "2/0 "},
      {"extended length lies", "04 fde8 005a 0a000001 ff ff 0010 02 0006 41 04 0000fde8", "2/0 "},
      {"multiprotocol of 3 octets", "04 fde8 005a 0a000001 07 02 05 01 03 000100", "2/0 "},
      {"graceful restart of 3 octets", "04 fde8 005a 0a000001 07 02 05 40 03 007800", "2/0 "},
  };
  for (const auto& test : kCases) EXPECT_EQ(Outcome(Message(1, test.body)), test.want) << test.name;
}

TEST(RouteRefresh, RoundTripsAndHasItsOwnLengthError) {
  const RouteRefresh refresh{.afi = 2, .subtype = 0, .safi = 1};
  EXPECT_EQ(Get<RouteRefresh>(EncodeRouteRefresh(refresh)), refresh);
  const std::string longer = Message(5, "0001 00 01 00");
  EXPECT_EQ(Outcome(longer), absl::StrCat("7/1 ", absl::BytesToHexString(longer)));
}

TEST(Notification, RoundTripsAndIsDescribedForPeople) {
  const Notification cease = CeaseWithText(kAdministrativeShutdown, "bye");
  EXPECT_EQ(Get<Notification>(EncodeNotification(cease)), cease);
  EXPECT_EQ(Describe(cease), "6/2 Cease, Administrative Shutdown: \"bye\"");
  EXPECT_EQ(Describe({4, 0, ""}), "4/0 Hold Timer Expired");
  EXPECT_EQ(Describe({2, 2, ""}), "2/2 OPEN Message Error, Bad Peer AS");
  EXPECT_EQ(Describe({77, 9, ""}), "77/9 Unknown");
}

TEST(Notification, TextFromTheNetworkIsEscapedAndItsLengthNotTrusted) {
  EXPECT_EQ(Describe({6, 2, std::string("\xff\x1b[2Jx")}),
            "6/2 Cease, Administrative Shutdown: \"\\x1b[2Jx\"");
  EXPECT_EQ(CeaseWithText(2, std::string(300, 'x')).data.size(), 256u);
}

TEST(Update, IsSummedUp) {
  const struct {
    absl::string_view name, body;
    Update want;
  } kCases[] = {
      {"end of RIB, IPv4", "0000 0000", {.end_of_rib = Family::kIpv4}},
      {"end of RIB, IPv6", "0000 0006 80 0f 03 0002 01", {.end_of_rib = Family::kIpv6}},
      {"a withdrawal", "0004 18 0a0001 0000", {.withdrawn = 1}},
      {"an announcement",
       "0000 0014 40 01 01 00 40 02 06 02 01 0000fde8 40 03 04 0a000001 20 14000a01 18 0a0002",
       {.announced = 2}},
      {"IPv6 both ways",
       "0000 0042 90 0e 0026 0002 01 10 20010db8000000000000000000000001 00 "
       "80 20010db8000000000000000000000002"
       "40 01 01 00 40 02 06 02 01 0000fde8 80 0f 08 0002 01 20 20010db8",
       {.announced = 1, .withdrawn = 1}},
      {"an unknown optional attribute", "0000 0004 c0 63 01 00", {}},
      {"another family", "0000 0009 80 0f 06 4004 47 010203", {}},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Get<Update>(Message(2, test.body)), test.want) << test.name;
  }
}

// RFC 7606: the session stays, the prefixes go.
TEST(Update, MalformedAttributesWithdraw) {
  const struct {
    absl::string_view body, want;
  } kCases[] = {
      {"0000 0004 40 01 01 03", "ORIGIN is 3"},
      {"0000 0005 40 01 02 0000", "ORIGIN has a wrong length of 2"},
      {"0000 0004 c0 01 01 00", "ORIGIN has wrong flags"},
      {"0000 0007 40 02 04 07 01 0001", "AS_PATH is malformed"},
      {"0000 0005 40 02 02 02 00", "AS_PATH is malformed"},
      {"0000 0006 c0 08 03 000000", "COMMUNITIES has a wrong length of 3"},
      {"0000 0003 c0 08 00", "COMMUNITIES has a wrong length of 0"},
      {"0000 0004 40 01 05 00", "attribute 1 is cut off"},
      {"0000 0002 40 01", "attribute 1 is cut off"},
      {"0000 0000 20 14000a01", "ORIGIN is missing"},
      {"0000 000d 40 01 01 00 40 02 06 02 01 0000fde8 20 14000a01", "NEXT_HOP is missing"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Get<Update>(Message(2, test.body)).treat_as_withdraw, test.want) << test.body;
  }
}

TEST(Update, ABadAggregatorIsDiscardedAlone) {
  const Update update = Get<Update>(Message(2, "0000 0006 c0 07 03 000000"));
  EXPECT_EQ(update.treat_as_withdraw, "");
}

TEST(Update, UnreadablePrefixesResetTheSession) {
  const struct {
    absl::string_view name, body, want;
  } kCases[] = {
      {"withdrawn length too long", "0009 0000", "3/1 "},
      {"attribute length too long", "0000 0009", "3/1 "},
      {"withdrawn prefix of 33 bits", "0006 21 0000000000 0000", "3/10 "},
      {"announced prefix cut off", "0000 0000 20 1400", "3/10 "},
      {"two MP_UNREACH", "0000 000c 80 0f 03 0002 01 80 0f 03 0002 01", "3/1 "},
      {"MP_REACH with a next hop of 5", "0000 000d 80 0e 0a 0002 01 05 0102030405 00", "3/9 "},
      {"MP_REACH cut off", "0000 0006 80 0e 03 0002 01", "3/9 "},
      {"MP_UNREACH prefix of 129 bits", "0000 0007 80 0f 04 0002 01 81", "3/9 "},
      {"unknown well-known attribute", "0000 0004 40 63 01 aa", "3/2 406301aa"},
  };
  for (const auto& test : kCases) EXPECT_EQ(Outcome(Message(2, test.body)), test.want) << test.name;
}

TEST(Update, AsPathIsReadAtTheWidthThatWasAgreed) {
  const std::string octets =
      Message(2, "0000 0012 40 01 01 00 40 02 04 02 01 fde8 40 03 04 0a000001 20 14000a01");
  EXPECT_EQ(Get<Update>(octets, false).treat_as_withdraw, "");
  EXPECT_EQ(Get<Update>(octets, true).treat_as_withdraw, "AS_PATH is malformed");
}

}  // namespace
}  // namespace portolan::bgp
