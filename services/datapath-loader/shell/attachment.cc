#include "services/datapath-loader/shell/attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/pins.h"

namespace portolan::datapath {
namespace {

constexpr int kTcxIngress = 46;  // BPF_TCX_INGRESS, Linux 6.6; libbpf 1.1 passes it through
// Ours among the filters of an interface: "po".
constexpr uint32_t kFilterHandle = 0x706f;
constexpr uint32_t kFilterPriority = 0x706f;

absl::Status HookError(const char* hook, int error) {
  const std::string message = absl::StrCat(hook, ": ", strerror(error));
  switch (error) {
    case EPERM:
    case EACCES:
      return absl::PermissionDeniedError(message);
    case EOPNOTSUPP:
    case EINVAL:
      return absl::UnimplementedError(message);
    case EBUSY:
    case EEXIST:
      return absl::AlreadyExistsError(
          absl::StrCat(hook, ": another program is attached there already"));
    default:
      return absl::UnavailableError(message);
  }
}

const char* HookName(Attachment::Hook hook) {
  return hook == Attachment::Hook::kXdp ? "native XDP" : "tcx";
}

// The interface that a link is on; 0: gone. XDP and tcx links keep it at the same place.
uint32_t LinkInterface(int link) {
  bpf_link_info info{};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(link, &info, &size) != 0) return 0;
  return info.xdp.ifindex;
}

}  // namespace

absl::Status Attachment::OtherXdp(uint32_t ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, options);
  if (bpf_xdp_query(static_cast<int>(ifindex), 0, &options) != 0) return absl::OkStatus();
  uint32_t id = options.prog_id;
  for (const uint32_t other : {options.drv_prog_id, options.skb_prog_id, options.hw_prog_id}) {
    if (id == 0) id = other;
  }
  if (id == 0) return absl::OkStatus();
  char name[IF_NAMESIZE] = {};
  if_indextoname(ifindex, name);
  return absl::AlreadyExistsError(
      absl::StrCat("native XDP: another program is attached there already, of id ", id,
                   " (bpftool prog show id ", id, "); take it off (ip link set dev ", name,
                   " xdp off, or end what holds its link); it may stand beside ours: pin it and "
                   "portolan datapath "
                   "chain set SLOT PATH"));
}

absl::StatusOr<Attachment> Attachment::AttachLink(const std::string& directory, Hook hook,
                                                  uint32_t ifindex, int program) {
  const bool xdp = hook == Hook::kXdp;
  const std::string path = LinkPinPath(directory, xdp, ifindex);
  FileDescriptor link(bpf_obj_get(path.c_str()));
  if (link.ok() && LinkInterface(link.get()) == ifindex &&
      bpf_link_update(link.get(), program, nullptr) == 0) {
    return Attachment(hook, ifindex, std::move(link), path);
  }
  // Of an interface that is gone, or with a program that cannot be replaced in place.
  unlink(path.c_str());
  link = FileDescriptor();
  LIBBPF_OPTS(bpf_link_create_opts, options);
  if (xdp) options.flags = XDP_FLAGS_DRV_MODE;
  const auto type = xdp ? BPF_XDP : static_cast<bpf_attach_type>(kTcxIngress);
  link = FileDescriptor(bpf_link_create(program, ifindex, type, &options));
  if (!link.ok()) {
    const absl::Status error = HookError(HookName(hook), errno);
    const absl::Status other = xdp && absl::IsAlreadyExists(error) ? OtherXdp(ifindex) : error;
    return other.ok() ? error : other;
  }
  if (bpf_obj_pin(link.get(), path.c_str()) != 0) {
    return HookError(absl::StrCat("pinning ", path).c_str(), errno);
  }
  return Attachment(hook, ifindex, std::move(link), path);
}

absl::StatusOr<Attachment> Attachment::AttachXdp(const std::string& directory, uint32_t ifindex,
                                                 int program) {
  return AttachLink(directory, Hook::kXdp, ifindex, program);
}

absl::StatusOr<Attachment> Attachment::AttachTcx(const std::string& directory, uint32_t ifindex,
                                                 int program) {
  return AttachLink(directory, Hook::kTcx, ifindex, program);
}

absl::StatusOr<Attachment> Attachment::AttachClsact(uint32_t ifindex, int program) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = BPF_TC_INGRESS);
  int error = bpf_tc_hook_create(&hook);
  if (error != 0 && error != -EEXIST) return HookError("clsact", -error);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .flags = BPF_TC_F_REPLACE,
              .handle = kFilterHandle, .priority = kFilterPriority);
  error = bpf_tc_attach(&hook, &options);
  if (error != 0) return HookError("clsact", -error);
  return Attachment(Hook::kClsact, ifindex, FileDescriptor(), "");
}

absl::StatusOr<Attachment> Attachment::AttachTc(const std::string& directory, uint32_t ifindex,
                                                int program) {
  absl::StatusOr<Attachment> tcx = AttachTcx(directory, ifindex, program);
  if (tcx.ok()) {
    DetachClsact(ifindex).IgnoreError();  // left by a run on an older kernel, or none
    return tcx;
  }
  if (!absl::IsUnimplemented(tcx.status())) return tcx;
  return AttachClsact(ifindex, program);
}

bool Attachment::IsAlive() const {
  if (hook_ != Hook::kClsact) return LinkInterface(link_.get()) == ifindex_;
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex_),
              .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kFilterHandle, .priority = kFilterPriority);
  return bpf_tc_query(&hook, &options) == 0;
}

absl::Status Attachment::Update(int program) {
  if (hook_ == Hook::kClsact) return AttachClsact(ifindex_, program).status();
  if (bpf_link_update(link_.get(), program, nullptr) == 0) return absl::OkStatus();
  return HookError(HookName(hook_), errno);
}

absl::Status Attachment::Detach() {
  if (hook_ == Hook::kClsact) return DetachClsact(ifindex_);
  if (unlink(pin_.c_str()) != 0 && errno != ENOENT) {
    return absl::UnavailableError(absl::StrCat("cannot remove ", pin_, ": ", strerror(errno)));
  }
  link_ = FileDescriptor();  // the last reference: the kernel detaches
  return absl::OkStatus();
}

absl::Status DetachClsact(uint32_t ifindex) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
              .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kFilterHandle, .priority = kFilterPriority);
  const int error = bpf_tc_detach(&hook, &options);
  if (error == 0 || error == -ENOENT || error == -EINVAL) return absl::OkStatus();
  return HookError("clsact", -error);
}

}  // namespace portolan::datapath
