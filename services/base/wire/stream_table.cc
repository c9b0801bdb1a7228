#include "services/base/wire/stream_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"

namespace portolan::wire {
namespace {

void WakeAll(std::vector<std::weak_ptr<Waker>>& wakers) {
  for (const std::weak_ptr<Waker>& weak : wakers) {
    if (const std::shared_ptr<Waker> waker = weak.lock()) waker->Wake();
  }
}

using google::protobuf::internal::WireFormatLite;

// Tag and length of a message or text.
void OpenField(int field, size_t size, google::protobuf::io::CodedOutputStream& to) {
  to.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  to.WriteVarint32(static_cast<uint32_t>(size));
}

// With its tag, which has one octet.
size_t SizeOfField(size_t size) { return 1 + WireFormatLite::LengthDelimitedSize(size); }

// A serialized WatchResponse of one change; `value` is serialized already, null: removed. By way
// of the message it would be copied four times, and this is done for every change of everything.
std::string ResponseOf(absl::string_view key, uint64_t revision, absl::string_view type_url,
                       const std::string* value) {
  using google::protobuf::Any;
  using stream::v1alpha1::Change;
  const size_t any =
      value == nullptr ? 0 : SizeOfField(type_url.size()) + SizeOfField(value->size());
  const size_t change = SizeOfField(key.size()) + 1 + WireFormatLite::UInt64Size(revision) +
                        (value == nullptr ? 0 : SizeOfField(any));
  std::string bytes;
  bytes.reserve(SizeOfField(change));
  {
    google::protobuf::io::StringOutputStream sink(&bytes);
    google::protobuf::io::CodedOutputStream to(&sink);
    const auto write = [&to](int field, absl::string_view text) {
      OpenField(field, text.size(), to);
      to.WriteRaw(text.data(), static_cast<int>(text.size()));
    };
    OpenField(stream::v1alpha1::WatchResponse::kChangesFieldNumber, change, to);
    write(Change::kKeyFieldNumber, key);
    WireFormatLite::WriteUInt64(Change::kRevisionFieldNumber, revision, &to);
    if (value != nullptr) {
      OpenField(Change::kValueFieldNumber, any, to);
      write(Any::kTypeUrlFieldNumber, type_url);
      write(Any::kValueFieldNumber, *value);
    }
  }
  return bytes;
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
  std::string bytes(value.ByteSizeLong(), '\0');
  {
    google::protobuf::io::ArrayOutputStream sink(bytes.data(), static_cast<int>(bytes.size()));
    google::protobuf::io::CodedOutputStream coded(&sink);
    coded.SetSerializationDeterministic(true);
    value.SerializeWithCachedSizes(&coded);
  }
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    if (type_url_.empty()) {
      type_url_ = absl::StrCat("type.googleapis.com/", value.GetDescriptor()->full_name());
    }
    Entries::value_type& slot = *entries_.try_emplace(key).first;
    const Entry& entry = slot.second;
    if (entry.revision != 0 && !entry.removed && entry.value() == bytes) return;
    Commit(slot, &bytes, to_wake);
  }
  WakeAll(to_wake);
}

void StreamTable::Remove(absl::string_view key) {
  std::vector<std::weak_ptr<Waker>> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end() || it->second.removed) return;
    Commit(*it, nullptr, to_wake);
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

void StreamTable::Commit(Entries::value_type& slot, const std::string* value,
                         std::vector<std::weak_ptr<Waker>>& to_wake) {
  Entry& entry = slot.second;
  if (entry.revision != 0) {
    order_.erase(entry.revision);
    tombstones_.erase(entry.revision);
  }
  entry.revision = ++head_;
  entry.removed = value == nullptr;
  entry.value_size = value == nullptr ? 0 : value->size();
  entry.bytes = ResponseOf(slot.first, head_, type_url_, value);
  order_.emplace_hint(order_.end(), head_, &slot);
  if (entry.removed) tombstones_.emplace(head_, &slot);
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
  int changes = 0;
  auto it = order_.upper_bound(position.revision);
  for (; it != order_.end() && response.size() < kMaxResponseBytes; ++it, ++changes) {
    const Entry& entry = it->second->second;
    position.revision = it->first;
    if (!reset || !entry.removed) response += entry.bytes;
  }
  const bool caught_up = it == order_.end();
  if (caught_up) position.revision = head_;
  position.crowded = caught_up && changes > 1;
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
