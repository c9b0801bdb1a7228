// Our programs on one interface: the hooks, their links and pins.
//
// XDP and tcx are BPF links, pinned below the pin directory: they stay when the process ends and
// their program can be replaced without a gap. Where the kernel has no tcx (before 6.6) the tc
// program hangs as a clsact filter of a fixed handle and priority, which stays by itself.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {

// One program on one hook of one interface. Destruction leaves it attached.
class Attachment {
 public:
  enum class Hook { kXdp, kTcx, kClsact };

  // Attaches `program`, or takes over the pinned link of that interface and gives it `program`.
  // Errors: UNIMPLEMENTED (the driver or kernel cannot), ALREADY_EXISTS (somebody else's program is
  // there), PERMISSION_DENIED, UNAVAILABLE.
  static absl::StatusOr<Attachment> AttachXdp(const std::string& directory, uint32_t ifindex,
                                              int program);
  static absl::StatusOr<Attachment> AttachTcx(const std::string& directory, uint32_t ifindex,
                                              int program);
  static absl::StatusOr<Attachment> AttachClsact(uint32_t ifindex, int program);
  // Tcx, else clsact.
  static absl::StatusOr<Attachment> AttachTc(const std::string& directory, uint32_t ifindex,
                                             int program);

  // ALREADY_EXISTS: an XDP program is on the interface, named in the message with the remedy.
  static absl::Status OtherXdp(uint32_t ifindex);

  Attachment(Attachment&&) = default;
  Attachment& operator=(Attachment&&) = default;

  Hook hook() const { return hook_; }
  // Still on its interface? False when that is gone.
  bool IsAlive() const;
  // Replaces the program, without a gap. On an error the one before goes on.
  absl::Status Update(int program);
  // Ends it: the link, its pin, or the filter.
  absl::Status Detach();

 private:
  Attachment(Hook hook, uint32_t ifindex, FileDescriptor link, std::string pin)
      : hook_(hook), ifindex_(ifindex), link_(std::move(link)), pin_(std::move(pin)) {}
  static absl::StatusOr<Attachment> AttachLink(const std::string& directory, Hook hook,
                                               uint32_t ifindex, int program);

  Hook hook_;
  uint32_t ifindex_;
  FileDescriptor link_;  // not for clsact
  std::string pin_;
};

// Our clsact filter on an interface, if there is one, whoever left it.
absl::Status DetachClsact(uint32_t ifindex);

}  // namespace portolan::datapath
