#include "services/base/store/etcd_store.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status/status_macros.h"

namespace portolan::store {
namespace {

// A compaction between two pages starts a List() anew, with pages of twice the size.
constexpr int kMaxListAttempts = 10;

void CompareCreated(etcdserverpb::TxnRequest& request, const std::string& key, int64_t revision) {
  etcdserverpb::Compare& compare = *request.add_compare();
  compare.set_target(etcdserverpb::Compare::CREATE);
  compare.set_key(key);
  compare.set_create_revision(revision);
}

// The end of the range of keys that begin with `prefix`.
std::string EndOf(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');  // etcd's way to say: to the end
  ++prefix.back();
  return prefix;
}

class EtcdStore : public Store {
 public:
  EtcdStore(std::unique_ptr<EtcdClient> client, std::string prefix,
            std::shared_ptr<Leadership> leadership, size_t page)
      : client_(std::move(client)),
        prefix_(std::move(prefix)),
        leadership_(std::move(leadership)),
        page_(page) {}

  size_t max_rows() const override { return kMaxEtcdRows; }

  absl::Status Commit(const Batch& batch) override {
    if (batch.empty()) return absl::OkStatus();
    const size_t rows = batch.size();
    if (rows > kMaxEtcdRows) {
      return absl::InvalidArgumentError(
          absl::StrCat("a batch of ", rows, " rows; etcd takes ", kMaxEtcdRows, " at once"));
    }
    const absl::Duration budget = leadership_->Remaining();
    if (budget == absl::ZeroDuration()) return Deposed();
    const absl::StatusOr<etcdserverpb::TxnResponse> response =
        client_->Txn(RequestOf(batch), budget);
    if (absl::IsResourceExhausted(response.status())) return Full(batch, response.status());
    RETURN_IF_ERROR(response.status());
    return response->succeeded() ? absl::OkStatus() : WhyNot(*response);
  }

  absl::StatusOr<std::vector<Row>> List(absl::string_view prefix) const override {
    absl::StatusOr<std::vector<Row>> rows;
    for (int attempt = 0; attempt < kMaxListAttempts; ++attempt) {
      rows = ListAtOneRevision(absl::StrCat(prefix_, prefix), page_ << attempt);
      if (!absl::IsOutOfRange(rows.status())) return rows;
    }
    return absl::UnavailableError(
        absl::StrCat("etcd compacts faster than its rows can be read: ", rows.status().message()));
  }

 private:
  absl::Status Deposed() const {
    leadership_->End();
    return absl::FailedPreconditionError(
        absl::StrCat("this process does not hold ", leadership_->key(), " any more"));
  }

  // What the keys shall be afterwards; etcd refuses a transaction that touches a key twice.
  etcdserverpb::TxnRequest RequestOf(const Batch& batch) const {
    etcdserverpb::TxnRequest request;
    CompareCreated(request, leadership_->key(), leadership_->term());
    request.add_failure()->mutable_request_range()->set_key(leadership_->key());
    std::map<absl::string_view, const Row*> outcome;  // null: gone
    for (const std::string& key : batch.erase) outcome[key] = nullptr;
    for (const Row& row : batch.create) {
      if (!outcome.contains(row.key)) {
        CompareCreated(request, prefix_ + row.key, 0);
        etcdserverpb::RangeRequest& look = *request.add_failure()->mutable_request_range();
        look.set_key(prefix_ + row.key);
        look.set_keys_only(true);
      }
      outcome[row.key] = &row;
    }
    for (const Row& row : batch.put) outcome[row.key] = &row;
    for (const auto& [key, row] : outcome) {
      if (row == nullptr) {
        request.add_success()->mutable_request_delete_range()->set_key(absl::StrCat(prefix_, key));
      } else {
        etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
        put.set_key(absl::StrCat(prefix_, key));
        put.set_value(row->value);
      }
    }
    return request;
  }

  // Of a transaction whose comparison failed: the answers to its reads, the election's key first.
  absl::Status WhyNot(const etcdserverpb::TxnResponse& response) const {
    bool first = true;
    for (const etcdserverpb::ResponseOp& answer : response.responses()) {
      const auto& found = answer.response_range().kvs();
      if (std::exchange(first, false)) {
        const bool ours = !found.empty() && found[0].create_revision() == leadership_->term();
        if (!ours) return Deposed();
      } else if (!found.empty()) {
        return absl::AlreadyExistsError(
            absl::StrCat("key exists: ", absl::StripPrefix(found[0].key(), prefix_)));
      }
    }
    return absl::UnavailableError("etcd refused a transaction without a reason");
  }

  // The batch that brings a member over its limit is answered like those after it, but is done.
  // Nobody but us writes, so the rows tell.
  absl::Status Full(const Batch& batch, const absl::Status& status) const {
    if (batch.create.empty()) return status;
    etcdserverpb::RangeRequest request;
    request.set_key(prefix_ + batch.create.front().key);
    const absl::StatusOr<etcdserverpb::RangeResponse> response = client_->Range(request);
    RETURN_IF_ERROR(response.status());
    const bool done =
        response->kvs_size() > 0 && response->kvs(0).value() == batch.create.front().value;
    return done ? absl::OkStatus() : status;
  }

  absl::StatusOr<std::vector<Row>> ListAtOneRevision(const std::string& from, size_t page) const {
    etcdserverpb::RangeRequest request;
    request.set_key(from);
    request.set_range_end(EndOf(from));
    request.set_limit(static_cast<int64_t>(page));
    std::vector<Row> rows;
    for (;;) {
      ASSIGN_OR_RETURN(etcdserverpb::RangeResponse response, client_->Range(request));
      for (etcdserverpb::KeyValue& found : *response.mutable_kvs()) {
        rows.push_back({found.key().substr(prefix_.size()), std::move(*found.mutable_value())});
      }
      if (!response.more() || response.kvs().empty()) return rows;
      if (request.revision() == 0) request.set_revision(response.header().revision());
      request.set_key(absl::StrCat(prefix_, rows.back().key, absl::string_view("\0", 1)));
    }
  }

  const std::unique_ptr<EtcdClient> client_;
  const std::string prefix_;
  const std::shared_ptr<Leadership> leadership_;
  const size_t page_;
};

}  // namespace

std::unique_ptr<Store> NewEtcdStore(std::unique_ptr<EtcdClient> client, std::string prefix,
                                    std::shared_ptr<Leadership> leadership, size_t page) {
  return std::make_unique<EtcdStore>(std::move(client), std::move(prefix), std::move(leadership),
                                     page);
}

}  // namespace portolan::store
