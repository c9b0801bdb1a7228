#include "plugins/sdk/shared_object.h"

#include <dlfcn.h>

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "api/abi/address_picker.h"
#include "plugins/sdk/address_picker.h"

namespace portolan::plugin {
namespace {

portolan_address ToAbi(const net::IpAddress& address) {
  portolan_address result = {};
  const std::string bytes = address.ToBytes();
  std::memcpy(result.octets, bytes.data(), bytes.size());
  return result;
}

portolan_range ToAbi(const net::Range& range) {
  return {ToAbi(range.first()), ToAbi(range.last())};
}

net::IpAddress FromAbi(const portolan_address& address, net::Family family) {
  const size_t size = static_cast<size_t>(net::FamilyBits(family)) / 8;
  return net::IpAddress::FromBytes(absl::MakeConstSpan(address.octets, size)).value();
}

// What the function pointers of portolan_free_space get back as `host`.
struct Host {
  const FreeSpace* free;
  net::Family family;
};

int FirstFree(void* host, const portolan_address* from, portolan_range* out) {
  const Host& self = *static_cast<Host*>(host);
  std::optional<net::Range> range = self.free->FirstFree(FromAbi(*from, self.family));
  if (range.has_value()) *out = ToAbi(*range);
  return range.has_value() ? 1 : 0;
}

int LastFree(void* host, const portolan_address* to, portolan_range* out) {
  const Host& self = *static_cast<Host*>(host);
  std::optional<net::Range> range = self.free->LastFree(FromAbi(*to, self.family));
  if (range.has_value()) *out = ToAbi(*range);
  return range.has_value() ? 1 : 0;
}

class SharedObjectPicker : public AddressPicker {
 public:
  // Takes the stage over.
  SharedObjectPicker(const portolan_address_picker* table, void* stage)
      : table_(table), stage_(stage) {}
  ~SharedObjectPicker() override { table_->destroy(stage_); }

  PickResult Pick(const PickRequest& request) const override {
    const std::string service(request.service);
    const std::string pool(request.pool);
    std::vector<portolan_range> usable;
    for (const net::Range& range : request.free->usable()) usable.push_back(ToAbi(range));
    Host host{request.free, request.family};
    const portolan_free_space free = {
        .size = sizeof(free), .host = &host, .first_free = FirstFree, .last_free = LastFree};
    const portolan_pick_request ask = {.size = sizeof(ask),
                                       .service = service.c_str(),
                                       .pool = pool.c_str(),
                                       .family = static_cast<uint32_t>(request.family),
                                       .reserved = 0,
                                       .seed = request.seed,
                                       .usable = usable.data(),
                                       .usable_count = usable.size(),
                                       .free = &free};
    portolan_pick_result result = {};
    result.size = sizeof(result);
    absl::MutexLock lock(&mutex_);
    if (table_->pick(stage_, &ask, &result) == PORTOLAN_PICK_ADDRESS) {
      return PickResult::Address(FromAbi(result.address, request.family));
    }
    const size_t length = strnlen(result.message, sizeof(result.message));
    return PickResult::Declined(absl::CHexEscape(absl::string_view(result.message, length)));
  }

 private:
  const portolan_address_picker* const table_;
  void* const stage_;
  mutable absl::Mutex mutex_;
};

absl::StatusOr<std::unique_ptr<AddressPicker>> CreateStage(const portolan_address_picker* table,
                                                           const std::string& name,
                                                           absl::string_view settings) {
  char error[256] = {};
  void* stage = table->create(std::string(settings).c_str(), error, sizeof(error));
  if (stage == nullptr) {
    error[sizeof(error) - 1] = '\0';
    return absl::InvalidArgumentError(
        absl::StrCat("plugin \"", name, "\" refuses its settings: ", absl::CHexEscape(error)));
  }
  return std::make_unique<SharedObjectPicker>(table, stage);
}

absl::Status CheckTable(const portolan_address_picker* table, const std::string& path) {
  if (table == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(path, " says that it cannot work here"));
  }
  if (table->size < sizeof(portolan_address_picker) ||
      table->abi_version != PORTOLAN_ADDRESS_PICKER_ABI_VERSION) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " was built for another plugin interface (version ", table->abi_version, ", ",
        table->size, " octets); this one is version ", PORTOLAN_ADDRESS_PICKER_ABI_VERSION, ", ",
        sizeof(portolan_address_picker), " octets; rebuild it with api/abi/address_picker.h"));
  }
  if (table->create == nullptr || table->destroy == nullptr || table->pick == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(path, " leaves a function out"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Factory>> LoadAddressPicker(const std::string& name,
                                                           const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return absl::NotFoundError(absl::StrCat("path \"", path, "\" of plugin \"", name,
                                            "\" is not absolute; give the whole path"));
  }
  void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (object == nullptr) {
    return absl::NotFoundError(absl::StrCat("cannot load plugin \"", name, "\": ", dlerror()));
  }
  auto entry = reinterpret_cast<portolan_address_picker_entry>(
      dlsym(object, PORTOLAN_ADDRESS_PICKER_SYMBOL));
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat("plugin \"", name, "\": ", path, " does not export ",
                                            PORTOLAN_ADDRESS_PICKER_SYMBOL,
                                            "; it is not an address picker"));
  }
  const portolan_address_picker* table = entry();
  if (absl::Status status = CheckTable(table, path); !status.ok()) return status;
  std::unique_ptr<Factory> factory = std::make_unique<FunctionFactory<AddressPicker>>(
      name,
      [table, name](absl::string_view settings) { return CreateStage(table, name, settings); });
  return factory;
}

}  // namespace portolan::plugin
