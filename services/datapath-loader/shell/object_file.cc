#include "services/datapath-loader/shell/object_file.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

constexpr uint64_t kBpfFIpv6 = 1 << 7;  // flag of bpf_l4_csum_replace(), Linux 6.16
constexpr size_t kLogTail = 600;

// What libbpf says while an object is loaded, the verifier's log included.
thread_local std::string* captured = nullptr;

int Capture(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (captured == nullptr || level == LIBBPF_DEBUG) return 0;
  char line[8192];
  vsnprintf(line, sizeof(line), format, arguments);
  captured->append(line);
  return 0;
}

}  // namespace

absl::Status KernelError(const std::string& what, int error, const std::string& log) {
  std::string message = absl::StrCat(what, ": ", strerror(error));
  if (!log.empty()) {
    absl::StrAppend(&message, "; the kernel's last words: ",
                    log.substr(log.size() - std::min(log.size(), kLogTail)));
  }
  switch (error) {
    case EPERM:
    case EACCES:
      // The verifier says EACCES too, with a log.
      if (absl::StrContains(log, "BEGIN PROG LOAD LOG")) return absl::UnavailableError(message);
      return absl::PermissionDeniedError(message);
    case ENOMEM:
    case E2BIG:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<bpf_object*> OpenObject(const bpf::Object& bytes) {
  libbpf_set_print(Capture);
  std::string log;
  captured = &log;
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
  bpf_object* object = bpf_object__open_mem(bytes.data, bytes.size, &options);
  const int error = errno;
  captured = nullptr;
  if (object == nullptr) return KernelError(absl::StrCat("cannot open ", bytes.name), error, log);
  return object;
}

absl::Status LoadObject(bpf_object* object, const char* name) {
  std::string log;
  captured = &log;
  const int error = bpf_object__load(object);
  captured = nullptr;
  if (error == 0) return absl::OkStatus();
  return KernelError(absl::StrCat("the kernel refused ", name), -error, log);
}

bool IsShared(const bpf_map* map) {
  return !bpf_map__is_internal(map) && strcmp(bpf_map__name(map), "scratch") != 0;
}

absl::StatusOr<int> ProgramOf(const bpf_object* object, const char* name) {
  const bpf_program* program = bpf_object__find_program_by_name(object, name);
  if (program != nullptr) return bpf_program__fd(program);
  return absl::InvalidArgumentError(
      absl::StrCat("object ", bpf_object__name(object), " has no program ", name));
}

bool KernelHasIpv6ChecksumFlag() {
  btf* types = btf__load_vmlinux_btf();
  if (types == nullptr) return false;
  bool found = false;
  for (__u32 id = 1; !found && id < btf__type_cnt(types); id++) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!btf_is_enum(type)) continue;
    for (int i = 0; !found && i < btf_vlen(type); i++) {
      const char* value = btf__name_by_offset(types, btf_enum(type)[i].name_off);
      found = value != nullptr && strcmp(value, "BPF_F_IPV6") == 0;
    }
  }
  btf__free(types);
  return found;
}

absl::Status SetConstants(bpf_object* object) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (!absl::EndsWith(bpf_map__name(map), ".rodata")) continue;
    const uint64_t flag = KernelHasIpv6ChecksumFlag() ? kBpfFIpv6 : 0;
    if (bpf_map__set_initial_value(map, &flag, sizeof(flag)) == 0) return absl::OkStatus();
  }
  return absl::InternalError("lb_tc has no constant l4_csum_ipv6_flag of 8 bytes");
}

}  // namespace portolan::datapath
