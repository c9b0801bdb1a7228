// Questions on a real cable (veth), answered by an attached program: what BPF_PROG_RUN cannot show,
// that is VLAN tags that the kernel takes out of a frame, and that answers reach the other end.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>

#include "bpf/test/harness.h"
#include "bpf/test/network.h"

namespace portolan::bpf {
namespace {

constexpr uint16_t kVlan = 10;
constexpr int kPatienceMs = 2000;

// Sends and hears whole frames on one end of the cable.
class Station {
 public:
  explicit Station(const char* interface)
      : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
    const int on = 1;
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(setsockopt(fd_, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
    EXPECT_EQ(setsockopt(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
  }
  ~Station() { close(fd_); }

  void Send(const Bytes& frame) const {
    EXPECT_EQ(send(fd_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  // The next frame that begins like `wanted`, with the tag back in its place; else nothing.
  std::optional<Bytes> Hear(const Bytes& wanted) const {
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    while (poll(&ready, 1, kPatienceMs) == 1) {
      const Bytes frame = Receive();
      if (frame.size() >= 14 && memcmp(frame.data(), wanted.data(), 14) == 0) return frame;
    }
    return std::nullopt;
  }

 private:
  Bytes Receive() const {
    Bytes frame(2048);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
    iovec part{frame.data(), frame.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    frame.resize(std::max<ssize_t>(recvmsg(fd_, &message, 0), 0));
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    tpacket_auxdata data{};
    if (header != nullptr) memcpy(&data, CMSG_DATA(header), sizeof(data));
    if (frame.size() < 14 || !(data.tp_status & TP_STATUS_VLAN_VALID)) return frame;
    const uint16_t tag[2] = {htons(data.tp_vlan_tpid), htons(data.tp_vlan_tci)};
    const auto* bytes = reinterpret_cast<const uint8_t*>(tag);
    frame.insert(frame.begin() + 12, bytes, bytes + sizeof(tag));
    return frame;
  }

  int fd_;
};

// XDP_PASS: makes the end of a veth take frames that are sent by XDP at the other.
int LoadPass() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  return bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "Dual BSD/GPL", instructions, 2, nullptr);
}

class NeighbourLinkTest : public testing::TestWithParam<Program> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    ASSERT_TRUE(EnterTestNetwork()) << "cannot make a network namespace";
    auto loaded = Harness::Load({});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    harness_ = *std::move(loaded);
    ifindex_ = if_nametoindex("t0");
    const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 1};
    harness_->SetInterface(ifindex_, mac, PORTOLAN_INTERFACE_TARGET);
    if (GetParam() == Program::kXdp) {
      ASSERT_EQ(bpf_xdp_attach(static_cast<int>(if_nametoindex("t1")), LoadPass(),
                               XDP_FLAGS_DRV_MODE, nullptr),
                0);
      ASSERT_EQ(bpf_xdp_attach(static_cast<int>(ifindex_), harness_->program(Program::kXdp),
                               XDP_FLAGS_DRV_MODE, nullptr),
                0);
    } else {
      LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex_),
                  .attach_point = BPF_TC_INGRESS);
      ASSERT_EQ(bpf_tc_hook_create(&hook), 0);
      LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = harness_->program(Program::kTc));
      ASSERT_EQ(bpf_tc_attach(&hook, &options), 0);
    }
    station_ = std::make_unique<Station>("t1");
  }

  void Own(uint16_t vlan) {
    for (const bool ipv6 : {false, true}) {
      harness_->SetNeighbour({.ipv6 = ipv6,
                              .address = ipv6 ? "2001:db8:20::1" : "20.0.10.1",
                              .ifindex = ifindex_,
                              .vlan = vlan});
    }
  }

  static NeighbourSpec Question(bool ipv6, std::vector<uint16_t> vlans) {
    NeighbourSpec question;
    question.vlans = std::move(vlans);
    if (!ipv6) return question;
    question.ipv6 = true;
    question.sender = "2001:db8:20::7";
    question.target = "2001:db8:20::1";
    question.options = {1, 1, 0x02, 0, 0, 0, 0, 2};
    question.destination_mac = {0x33, 0x33, 0xff, 0, 0, 1};
    return question;
  }
  static Bytes AnswerTo(NeighbourSpec question) {
    std::swap(question.sender, question.target);
    question.operation = 2;
    question.target_mac = question.destination_mac = question.sender_mac;
    question.sender_mac = question.source_mac = {0x02, 0, 0, 0, 0, 1};
    if (!question.ipv6) return BuildNeighbour(question);
    std::swap(question.sender, question.target);
    question.destination = std::exchange(question.sender, question.target);
    question.flags = 0x60000000;
    question.options = {2, 1, 0x02, 0, 0, 0, 0, 1};
    return BuildNeighbour(question);
  }

  void ExpectAnswered(const std::vector<uint16_t>& vlans) {
    for (const bool ipv6 : {false, true}) {
      const NeighbourSpec question = Question(ipv6, vlans);
      const Bytes answer = AnswerTo(question);
      station_->Send(BuildNeighbour(question));
      EXPECT_EQ(station_->Hear(answer), answer) << ipv6;
    }
  }
  portolan_counter Answered(portolan_answer kind) { return harness_->Counter("answers", kind); }

  std::unique_ptr<Harness> harness_;
  std::unique_ptr<Station> station_;
  uint32_t ifindex_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Both, NeighbourLinkTest, testing::Values(Program::kXdp, Program::kTc),
                         [](const auto& info) {
                           return info.param == Program::kXdp ? "Xdp" : "Tc";
                         });

TEST_P(NeighbourLinkTest, UntaggedQuestionsAreAnsweredOnTheCable) {
  Own(0);
  ExpectAnswered({});
}

TEST_P(NeighbourLinkTest, TaggedQuestionsAreAnsweredWithTheirTag) {
  Own(kVlan);
  ExpectAnswered({kVlan});
  ExpectAnswered({0x6000 | kVlan});
}

TEST_P(NeighbourLinkTest, QuestionsOfOtherVlansAreNotAnswered) {
  Own(kVlan);
  for (const bool ipv6 : {false, true}) {
    for (const std::vector<uint16_t>& vlans :
         {std::vector<uint16_t>{}, {kVlan + 1}, {kVlan, kVlan}}) {
      station_->Send(BuildNeighbour(Question(ipv6, vlans)));
    }
  }
  ExpectAnswered({kVlan});  // in order: what came before was not answered
  EXPECT_EQ(Answered(PORTOLAN_ANSWER_ARP).packets, 1u);
  EXPECT_EQ(Answered(PORTOLAN_ANSWER_ND).packets, 1u);
}

}  // namespace
}  // namespace portolan::bpf
