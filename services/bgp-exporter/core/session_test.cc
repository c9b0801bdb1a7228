#include "services/bgp-exporter/core/session.h"

#include <gtest/gtest.h>

#include "services/bgp-exporter/core/update.h"

namespace portolan::bgp {
namespace {

using net::Family;
using Rival = Session::Rival;

const absl::Time kStart = absl::UnixEpoch();

SessionParameters External() {
  return {.local_as = 65001,
          .remote_as = 65000,
          .router_id = 0x0a000001,
          .hold_time_s = 90,
          .families = {Family::kIpv4, Family::kIpv6},
          .ipv4_over_ipv6_hop = false,
          .graceful_restart_time_s = 120};
}

Open PeerOpen() {
  return {.as_number = 65000,
          .hold_time_s = 30,
          .router_id = 0x0a000002,
          .families = std::vector<Family>{Family::kIpv4, Family::kIpv6},
          .four_octet_as = true,
          .route_refresh = true};
}

Message First(const std::string& octets) {
  const auto frame = NextFrame(AsOctets(octets));
  if (!frame.has_value()) return Keepalive();
  return std::get<Message>(Decode(std::get<Frame>(*frame), true));
}

std::string SentError(const Session::Step& step) {
  if (!std::holds_alternative<Notification>(First(step.send))) return "none";
  const auto notification = std::get<Notification>(First(step.send));
  return std::to_string(notification.code) + "/" + std::to_string(notification.subcode);
}

class SessionTest : public testing::Test {
 protected:
  Session::Step Receive(Session& session, const std::string& octets, Rival rival = Rival::kNone) {
    return session.Receive(octets, rival, now_, rng_);
  }
  void Establish(Session& session, const Open& open = PeerOpen()) {
    session.Start(now_);
    EXPECT_FALSE(Receive(session, EncodeOpen(open)).end.has_value());
    EXPECT_TRUE(Receive(session, EncodeKeepalive()).established);
    EXPECT_EQ(session.state(), SessionState::kEstablished);
  }

  Rng rng_{1};
  absl::Time now_ = kStart;
};

TEST_F(SessionTest, OpenOffersEveryCapability) {
  SessionParameters parameters = External();
  parameters.local_as = 4'200'000'000;
  Session session(parameters, {.restarting = true, .forwarding_kept = true}, true);
  const auto open = std::get<Open>(First(session.Start(now_).send));
  EXPECT_EQ(open.as_number, 4'200'000'000u);
  EXPECT_TRUE(open.four_octet_as);
  EXPECT_TRUE(open.route_refresh);
  EXPECT_EQ(open.families, (std::vector<Family>{Family::kIpv4, Family::kIpv6}));
  ASSERT_TRUE(open.graceful_restart.has_value());
  EXPECT_TRUE(open.graceful_restart->restarting);
  EXPECT_EQ(open.graceful_restart->restart_time_s, 120);
  EXPECT_TRUE(open.graceful_restart->families[1].forwarding_kept);
}

TEST_F(SessionTest, WithoutGracefulRestartTheCapabilityIsAbsent) {
  SessionParameters parameters = External();
  parameters.graceful_restart_time_s = 0;
  Session session(parameters, {}, true);
  EXPECT_FALSE(std::get<Open>(First(session.Start(now_).send)).graceful_restart.has_value());
}

TEST_F(SessionTest, ReachesEstablishedAndAgreesOnTheSmallerHoldTime) {
  Session session(External(), {}, true);
  session.Start(now_);
  EXPECT_EQ(session.state(), SessionState::kOpenSent);
  const Session::Step step = Receive(session, EncodeOpen(PeerOpen()));
  EXPECT_TRUE(std::holds_alternative<Keepalive>(First(step.send)));
  EXPECT_EQ(session.state(), SessionState::kOpenConfirm);
  EXPECT_TRUE(Receive(session, EncodeKeepalive()).established);
  EXPECT_EQ(session.negotiated().hold_time, absl::Seconds(30));
}

TEST_F(SessionTest, TakesOctetsInAnyPieces) {
  Session session(External(), {}, true);
  session.Start(now_);
  const std::string octets = EncodeOpen(PeerOpen()) + EncodeKeepalive();
  bool established = false;
  for (const char octet : octets)
    established |= Receive(session, std::string(1, octet)).established;
  EXPECT_TRUE(established);
}

TEST_F(SessionTest, AgreesOnlyOnFamiliesOfBothSides) {
  const struct {
    std::optional<std::vector<Family>> theirs;
    std::vector<Family> want;
  } kCases[] = {
      {std::nullopt, {Family::kIpv4}},  // RFC 4760: no capability means IPv4 unicast
      {std::vector<Family>{}, {}},
      {std::vector<Family>{Family::kIpv6}, {Family::kIpv6}},
      {std::vector<Family>{Family::kIpv6, Family::kIpv4}, {Family::kIpv4, Family::kIpv6}},
  };
  for (const auto& test : kCases) {
    Session session(External(), {}, true);
    Open open = PeerOpen();
    open.families = test.theirs;
    session.Start(now_);
    if (test.theirs.has_value() && test.theirs->empty()) {
      // A capability for a family that we do not know: AFI 16388, SAFI 71.
      Receive(session,
              WithHeader(MessageType::kOpen,
                         std::string("\4\xfd\xe8\0\x1e\x0a\0\0\2\x8\2\6\1\4\x40\4\0\x47", 18)));
    } else {
      Receive(session, EncodeOpen(open));
    }
    EXPECT_EQ(session.state(), SessionState::kOpenConfirm);
    EXPECT_EQ(session.negotiated().families, test.want);
  }
}

TEST_F(SessionTest, RefusesWhatRfc4271Section62Refuses) {
  Open wrong_as = PeerOpen();
  wrong_as.as_number = 64999;
  Open short_hold = PeerOpen();
  short_hold.hold_time_s = 2;
  const struct {
    absl::string_view name;
    std::string octets;
    absl::string_view want;
  } kCases[] = {
      {"another AS", EncodeOpen(wrong_as), "2/2"},
      {"hold time 2", EncodeOpen(short_hold), "2/6"},
      {"KEEPALIVE before OPEN", EncodeKeepalive(), "5/1"},
      {"UPDATE before OPEN", WithHeader(MessageType::kUpdate, std::string(4, '\0')), "5/1"},
      {"garbage", std::string(19, 'x'), "1/1"},
  };
  for (const auto& test : kCases) {
    Session session(External(), {}, true);
    session.Start(now_);
    const Session::Step step = Receive(session, test.octets);
    EXPECT_EQ(SentError(step), test.want) << test.name;
    EXPECT_TRUE(step.end.has_value()) << test.name;
    EXPECT_EQ(session.state(), SessionState::kIdle) << test.name;
  }
}

TEST_F(SessionTest, AWrongAsNamesBothNumbersAndTheField) {
  Session session(External(), {}, true);
  session.Start(now_);
  Open open = PeerOpen();
  open.as_number = 4'200'000'000;
  const Session::Step step = Receive(session, EncodeOpen(open));
  ASSERT_TRUE(step.end.has_value());
  EXPECT_EQ(step.end->kind, Session::EndKind::kConfiguration);
  EXPECT_EQ(step.end->error,
            "sent 2/2 OPEN Message Error, Bad Peer AS (the peer says AS 4200000000, remote-as says "
            "65000)");
  EXPECT_EQ(step.end->remedy, "set remote-as to 4200000000, or correct the AS on the peer");
}

TEST_F(SessionTest, OurOwnIdentifierIsRefusedInsideButLegalOutside) {
  for (const bool internal : {false, true}) {
    SessionParameters parameters = External();
    if (internal) parameters.local_as = 65000;
    Session session(parameters, {}, true);
    session.Start(now_);
    Open open = PeerOpen();
    open.router_id = parameters.router_id;
    EXPECT_EQ(SentError(Receive(session, EncodeOpen(open))), internal ? "2/3" : "none");
  }
}

TEST_F(SessionTest, WaitsFourMinutesForAnOpen) {
  Session session(External(), {}, true);
  session.Start(now_);
  EXPECT_EQ(session.deadline(), kStart + absl::Minutes(4));
  EXPECT_EQ(SentError(session.Expire(kStart + absl::Minutes(4), rng_)), "4/0");
}

TEST_F(SessionTest, KeepalivesGoOutAtAThirdOfTheHoldTimeOrALittleEarlier) {
  Session session(External(), {}, true);
  Establish(session);
  for (int i = 0; i < 20; ++i) {
    const absl::Time due = session.deadline();
    EXPECT_GE(due, now_ + absl::Seconds(7.5));
    EXPECT_LE(due, now_ + absl::Seconds(10));
    now_ = due;
    EXPECT_EQ(session.Expire(now_, rng_).send, EncodeKeepalive());
    Receive(session, EncodeKeepalive());
  }
}

TEST_F(SessionTest, OnlyReceivedKeepaliveAndUpdateHoldTheSession) {
  const struct {
    absl::string_view name;
    std::string octets;
    bool holds;
  } kCases[] = {
      {"KEEPALIVE", EncodeKeepalive(), true},
      {"UPDATE", WithHeader(MessageType::kUpdate, std::string(4, '\0')), true},
      {"ROUTE-REFRESH", EncodeRouteRefresh({1, 0, 1}), false},
      {"nothing", "", false},
  };
  for (const auto& test : kCases) {
    now_ = kStart;
    Session session(External(), {}, true);
    Establish(session);
    now_ = kStart + absl::Seconds(29);
    session.Expire(now_, rng_);  // what we send counts nothing
    Receive(session, test.octets);
    now_ = kStart + absl::Seconds(30);
    const Session::Step step = session.Expire(now_, rng_);
    EXPECT_EQ(SentError(step), test.holds ? "none" : "4/0") << test.name;
  }
}

TEST_F(SessionTest, HoldTimeZeroMeansNoTimersAtAll) {
  Session session(External(), {}, true);
  Open open = PeerOpen();
  open.hold_time_s = 0;
  Establish(session, open);
  EXPECT_EQ(session.deadline(), absl::InfiniteFuture());
}

TEST_F(SessionTest, EndsWhenThePeerTakesNothingForEightMinutes) {
  Session session(External(), {}, true);
  Establish(session);
  session.WriteBlocked(now_);
  for (int i = 0; i < 8 * 60 - 1; ++i) {
    now_ += absl::Seconds(1);
    Receive(session, EncodeKeepalive());
    ASSERT_FALSE(session.Expire(now_, rng_).end.has_value()) << i;
  }
  now_ += absl::Seconds(1);
  EXPECT_EQ(SentError(session.Expire(now_, rng_)), "8/0");
}

TEST_F(SessionTest, ProgressOfWritingStartsTheSendHoldTimerAnew) {
  Session session(External(), {}, true);
  Establish(session);
  session.WriteBlocked(now_);
  session.WriteProgress(/*drained=*/false, now_ + absl::Minutes(7));
  EXPECT_NE(SentError(session.Expire(now_ + absl::Minutes(8), rng_)), "8/0");
  Session drained(External(), {}, true);
  Open open = PeerOpen();
  open.hold_time_s = 0;
  Establish(drained, open);
  drained.WriteBlocked(now_);
  drained.WriteProgress(/*drained=*/true, now_);
  EXPECT_EQ(drained.deadline(), absl::InfiniteFuture());
}

TEST_F(SessionTest, AMalformedAttributeDoesNotEndTheSession) {
  Session session(External(), {}, true);
  Establish(session);
  const std::string bad_origin("\0\0\0\4\x40\1\1\3", 8);
  EXPECT_FALSE(Receive(session, WithHeader(MessageType::kUpdate, bad_origin)).end.has_value());
}

TEST_F(SessionTest, AnUnreadablePrefixDoes) {
  Session session(External(), {}, true);
  Establish(session);
  const std::string bad_prefix("\0\0\0\0\x21", 5);
  EXPECT_EQ(SentError(Receive(session, WithHeader(MessageType::kUpdate, bad_prefix))), "3/10");
}

TEST_F(SessionTest, RouteRefreshNamesAgreedFamiliesOnly) {
  const struct {
    RouteRefresh refresh;
    std::vector<Family> want;
  } kCases[] = {
      {{1, 0, 1}, {Family::kIpv4}},
      {{2, 0, 1}, {Family::kIpv6}},
      {{1, 1, 1}, {}},
      {{1, 0, 2}, {}},
      {{25, 0, 70}, {}},
  };
  for (const auto& test : kCases) {
    Session session(External(), {}, true);
    Establish(session);
    EXPECT_EQ(Receive(session, EncodeRouteRefresh(test.refresh)).refresh, test.want);
  }
}

TEST_F(SessionTest, AReceivedNotificationEndsItAndIsQuoted) {
  Session session(External(), {}, true);
  Establish(session);
  const Session::Step step = Receive(session, EncodeNotification(CeaseWithText(2, "window 3")));
  ASSERT_TRUE(step.end.has_value());
  EXPECT_EQ(step.end->kind, Session::EndKind::kReceived);
  EXPECT_EQ(step.end->error, "received 6/2 Cease, Administrative Shutdown: \"window 3\"");
  EXPECT_EQ(step.send, "") << "a NOTIFICATION is never answered";
}

TEST_F(SessionTest, ASecondOpenIsAnFsmError) {
  Session session(External(), {}, true);
  Establish(session);
  EXPECT_EQ(SentError(Receive(session, EncodeOpen(PeerOpen()))), "5/3");
}

// RFC 4271 section 6.8.
TEST_F(SessionTest, OfTwoConnectionsTheOneOfTheHigherIdentifierStays) {
  const struct {
    absl::string_view name;
    uint32_t peer_id;
    bool dialled;
    Rival rival;
    bool loses;
    bool rival_lost;
  } kCases[] = {
      {"we are lower, we dialled", 0x0a000002, true, Rival::kOpenConfirm, true, false},
      {"we are lower, they dialled", 0x0a000002, false, Rival::kOpenConfirm, false, true},
      {"we are higher, we dialled", 0x09000000, true, Rival::kOpenConfirm, false, true},
      {"we are higher, they dialled", 0x09000000, false, Rival::kOpenConfirm, true, false},
      {"equal, our AS is higher, we dialled", 0x0a000001, true, Rival::kOpenConfirm, false, true},
      {"the other is established", 0x09000000, true, Rival::kEstablished, true, false},
      {"no other", 0x0a000002, true, Rival::kNone, false, false},
  };
  for (const auto& test : kCases) {
    Session session(External(), {}, test.dialled);
    session.Start(now_);
    Open open = PeerOpen();
    open.router_id = test.peer_id;
    const Session::Step step = Receive(session, EncodeOpen(open), test.rival);
    EXPECT_EQ(SentError(step), test.loses ? "6/7" : "none") << test.name;
    EXPECT_EQ(step.rival_lost, test.rival_lost) << test.name;
    if (test.loses) {
      EXPECT_EQ(step.end->kind, Session::EndKind::kCollision);
    }
  }
}

}  // namespace
}  // namespace portolan::bgp
