// A value that few objects have: two words when it is absent, on the heap when it is there.
// Immutable and shared by copies; compares by value. A regular value type.
#pragma once

#include <memory>
#include <utility>

namespace portolan::ipam {

template <typename T>
class Rare {
 public:
  Rare() = default;
  Rare(T value)  // NOLINT(google-explicit-constructor): as std::optional
      : value_(std::make_shared<const T>(std::move(value))) {}

  bool has_value() const { return value_ != nullptr; }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }

  friend bool operator==(const Rare& a, const Rare& b) {
    if (a.value_ == b.value_) return true;
    return a.has_value() && b.has_value() && *a == *b;
  }

 private:
  std::shared_ptr<const T> value_;
};

}  // namespace portolan::ipam
