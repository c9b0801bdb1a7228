// What this loader was told by RPC and keeps over a restart: states of owners, and orders about
// interfaces. One SQLite file, which the first row makes.
//
// Calls block (disk). One thread at a time: the loop's until it hands it to the control thread.
// Errors are those of store.h and name the file.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/store/store.h"
#include "services/datapath-loader/core/desired_states.h"
#include "services/datapath-loader/shell/interface_orders.h"

namespace portolan::datapath {

class Journal {
 public:
  struct Kept {
    std::map<std::string, OwnerState> owners;
    InterfaceOrders interfaces;
  };

  explicit Journal(std::string path) : path_(std::move(path)) {}

  // Also makes the file this process's own, if there is one.
  absl::StatusOr<Kept> Read();
  absl::Status PutOwner(const std::string& owner, const OwnerState& state);
  absl::Status PutInterface(const std::string& name, const InterfaceOrder& order);
  absl::Status EraseInterface(const std::string& name);

 private:
  absl::Status Open();
  absl::Status Commit(const store::Batch& batch);

  const std::string path_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace portolan::datapath
