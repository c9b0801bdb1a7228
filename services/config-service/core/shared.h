// A value that never changes and that copies share: a configuration of ten thousand services is
// copied for the price of their addresses. Compares by value; at once when both share.
//
// Copies may be on different threads.
#pragma once

#include <memory>
#include <utility>

namespace portolan::config {

template <typename T>
class Shared {
 public:
  Shared() : Shared(T()) {}
  Shared(T value) : value_(std::make_shared<const T>(std::move(value))) {}  // NOLINT: as the value

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.value_ == b.value_ || *a.value_ == *b.value_;
  }

 private:
  std::shared_ptr<const T> value_;
};

}  // namespace portolan::config
