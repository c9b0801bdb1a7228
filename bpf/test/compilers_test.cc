// The programs of either compiler are taken by the kernel's verifier, and give it little to do.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <string>

#include "bpf/programs/object.h"

namespace portolan::bpf {

Object LbXdpClang19();
Object LbTcClang19();
Object XdpRootClang19();

namespace {

// What the design allows, and what a change may add before somebody looks.
constexpr uint32_t kAllowed = 200'000;
constexpr uint32_t kExpected = 60'000;

class CompilersTest : public testing::TestWithParam<Object (*)()> {};

INSTANTIATE_TEST_SUITE_P(All, CompilersTest,
                         testing::Values(LbXdp, LbTc, XdpRoot, LbXdpClang19, LbTcClang19,
                                         XdpRootClang19),
                         [](const auto& info) { return std::string(info.param().name); });

TEST_P(CompilersTest, TheKernelTakesItAndHasLittleToDo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
  const Object bytes = GetParam()();
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
  bpf_object* object = bpf_object__open_mem(bytes.data, bytes.size, &options);
  ASSERT_NE(object, nullptr);
  ASSERT_EQ(bpf_object__load(object), 0);
  bpf_prog_info info{};
  __u32 size = sizeof(info);
  ASSERT_EQ(bpf_obj_get_info_by_fd(bpf_program__fd(bpf_object__next_program(object, nullptr)),
                                   &info, &size),
            0);
  EXPECT_GT(info.verified_insns, 0u);
  EXPECT_LT(info.verified_insns, kExpected);
  static_assert(kExpected < kAllowed);
  RecordProperty("verified_insns", static_cast<int>(info.verified_insns));
  bpf_object__close(object);
}

}  // namespace
}  // namespace portolan::bpf
