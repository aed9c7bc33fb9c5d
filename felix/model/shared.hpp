#pragma once

#include <memory>
#include <utility>

namespace manul::felix {

/// An immutable value that many hold without copying it. Two are equal when their values are; a default one holds a
/// default T. Equal pointers are the fast path, so that unchanged policies and lists compare in no time.
template <class T>
class Shared {
public:
    Shared() : value_(std::make_shared<const T>()) {}
    Shared(T value)  // NOLINT(google-explicit-constructor): a T is a Shared<T>
        : value_(std::make_shared<const T>(std::move(value))) {}

    /// `value` is not null.
    explicit Shared(std::shared_ptr<const T> value) noexcept : value_(std::move(value)) {}

    [[nodiscard]] const T& operator*() const noexcept { return *value_; }
    [[nodiscard]] const T* operator->() const noexcept { return value_.get(); }
    [[nodiscard]] const std::shared_ptr<const T>& pointer() const noexcept { return value_; }
    /// The same object, not merely an equal one.
    [[nodiscard]] bool same_as(const Shared& other) const noexcept { return value_ == other.value_; }

    bool operator==(const Shared& other) const { return value_ == other.value_ || *value_ == *other.value_; }

private:
    std::shared_ptr<const T> value_;
};

}  // namespace manul::felix
