#include "services/base/wire/stream_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::wire {
namespace {

void WakeAll(std::vector<std::weak_ptr<Waker>>& wakers) {
  for (const std::weak_ptr<Waker>& weak : wakers) {
    if (const std::shared_ptr<Waker> waker = weak.lock()) waker->Wake();
  }
}

}  // namespace

int StreamTable::AddWriter() {
  absl::MutexLock lock(&mutex_);
  synced_ = false;
  writers_synced_[next_writer_] = false;
  return next_writer_++;
}

void StreamTable::RemoveWriter(int writer) {
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    writers_synced_.erase(writer);
    CheckSynced(to_wake);
  }
  WakeAll(to_wake);
}

void StreamTable::Close(std::string why) {
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = std::move(why);
    ++life_;
    entries_.clear();
    order_.clear();
    tombstones_.clear();
    head_ = forgotten_ = 0;
    for (auto& [writer, synced] : writers_synced_) synced = false;
    synced_ = false;
    to_wake.swap(waiting_);
  }
  WakeAll(to_wake);
}

void StreamTable::Open(uint64_t term) {
  absl::MutexLock lock(&mutex_);
  closed_.reset();
  term_ = term;
}

std::optional<std::string> StreamTable::closed() const {
  absl::MutexLock lock(&mutex_);
  return closed_;
}

std::string StreamTable::Epoch() const {
  return life_ == 0 ? epoch_ : absl::StrCat(epoch_, "-", life_);
}

void StreamTable::Upsert(absl::string_view key, const google::protobuf::Message& value) {
  // Maps must serialize in one order, or an equal value would look like a change.
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream sink(&bytes);
    google::protobuf::io::CodedOutputStream coded(&sink);
    coded.SetSerializationDeterministic(true);
    value.SerializeToCodedStream(&coded);
  }
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    if (type_url_.empty()) {
      type_url_ = absl::StrCat("type.googleapis.com/", value.GetDescriptor()->full_name());
    }
    const auto it = entries_.find(key);
    if (it != entries_.end() && !it->second.removed && it->second.value() == bytes) return;
    Commit(key, &bytes, to_wake);
  }
  WakeAll(to_wake);
}

void StreamTable::Remove(absl::string_view key) {
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end() || it->second.removed) return;
    Commit(key, nullptr, to_wake);
    ForgetOldTombstones();
  }
  WakeAll(to_wake);
}

void StreamTable::MarkSynced(int writer) {
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    writers_synced_[writer] = true;
    CheckSynced(to_wake);
  }
  WakeAll(to_wake);
}

void StreamTable::CheckSynced(std::vector<std::weak_ptr<Waker>>& to_wake) {
  synced_ = std::ranges::all_of(writers_synced_, [](const auto& entry) { return entry.second; });
  if (synced_) to_wake.swap(waiting_);
}

void StreamTable::Commit(absl::string_view key, const std::string* value,
                         std::vector<std::weak_ptr<Waker>>& to_wake) {
  const auto slot = entries_.try_emplace(key).first;
  Entry& entry = slot->second;
  if (entry.revision != 0) {
    order_.erase(entry.revision);
    tombstones_.erase(entry.revision);
  }
  entry.revision = ++head_;
  entry.removed = value == nullptr;
  entry.value_size = value == nullptr ? 0 : value->size();
  stream::v1alpha1::WatchResponse response;
  stream::v1alpha1::Change& change = *response.add_changes();
  change.set_key(slot->first);
  change.set_revision(head_);
  if (value != nullptr) {
    change.mutable_value()->set_type_url(type_url_);
    change.mutable_value()->set_value(*value);
  }
  response.SerializeToString(&entry.bytes);
  order_.emplace(head_, &*slot);
  if (entry.removed) tombstones_.emplace(head_, &*slot);
  to_wake.swap(waiting_);
}

void StreamTable::ForgetOldTombstones() {
  while (tombstones_.size() > max_tombstones_) {
    const auto oldest = tombstones_.begin();
    forgotten_ = oldest->first;
    order_.erase(oldest->first);
    entries_.erase(entries_.find(oldest->second->first));
    tombstones_.erase(oldest);
  }
}

Position StreamTable::Begin(const stream::v1alpha1::WatchRequest& request) const {
  absl::MutexLock lock(&mutex_);
  Position position{.life = life_};
  if (request.epoch() == Epoch() && request.revision() >= forgotten_ &&
      request.revision() <= head_) {
    position.revision = request.revision();
    position.reset_due = false;
  }
  return position;
}

bool StreamTable::Read(Position& position, std::string& response, std::weak_ptr<Waker> waker) {
  response.clear();
  absl::MutexLock lock(&mutex_);
  if (position.life != life_ || closed_.has_value()) {
    position.ended = true;
    return false;
  }
  if (!position.reset_due && position.revision < forgotten_) {
    // Too slow: a removal that this reader has not heard of is forgotten.
    position = Position{.life = life_};
  }
  const bool reset = std::exchange(position.reset_due, false);
  auto it = order_.upper_bound(position.revision);
  for (; it != order_.end() && response.size() < kMaxResponseBytes; ++it) {
    const Entry& entry = it->second->second;
    position.revision = it->first;
    if (!reset || !entry.removed) response += entry.bytes;
  }
  const bool caught_up = it == order_.end();
  if (caught_up) position.revision = head_;
  stream::v1alpha1::WatchResponse rest;
  if (caught_up && synced_ && !position.synced_sent) {
    position.synced_sent = true;
    rest.set_synced(true);
  }
  if (!reset && !rest.synced() && response.empty()) {
    waiting_.push_back(std::move(waker));
    return false;
  }
  rest.set_reset(reset);
  rest.set_epoch(Epoch());
  rest.set_term(term_);
  rest.set_revision(position.revision);
  rest.AppendToString(&response);
  ++responses_;
  sent_bytes_ += response.size();
  return true;
}

void StreamTable::CountReader(int change) {
  absl::MutexLock lock(&mutex_);
  readers_ += change;
}

StreamFigures StreamTable::Figures() const {
  absl::MutexLock lock(&mutex_);
  return {.revisions = head_,
          .entries = entries_.size() - tombstones_.size(),
          .readers = readers_,
          .responses = responses_,
          .sent_bytes = sent_bytes_};
}

}  // namespace portolan::wire
