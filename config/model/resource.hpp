#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"

namespace manul::model {

using StringMap = std::map<std::string, std::string, std::less<>>;  // looked up by string_view

struct OwnerReference {
    std::string api_version;
    std::string kind;
    std::string name;
    std::string uid;

    bool operator==(const OwnerReference&) const = default;
};

/// ObjectMeta, as far as the project reads it.
struct Metadata {
    std::string name;
    std::string ns;
    StringMap labels;
    StringMap annotations;
    std::string uid;
    std::string resource_version;
    std::int64_t generation = 0;
    std::string creation_timestamp;  ///< RFC 3339 UTC, seconds
    std::vector<std::string> finalizers;
    std::vector<OwnerReference> owner_references;

    bool operator==(const Metadata&) const = default;
};

/// Typed, read-only view of one stored document. Each kind is `struct X final : ResourceOf<X>` with a `spec`; immutable
/// once shared. The document itself (unknown fields included) stays beside it in store::Object.
struct Resource {
    Metadata metadata;

    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    [[nodiscard]] Key key() const { return Key{kind_, metadata.ns, metadata.name}; }

    virtual ~Resource() = default;
    Resource(const Resource&) = default;
    Resource& operator=(const Resource&) = default;
    Resource(Resource&&) = default;
    Resource& operator=(Resource&&) = default;

protected:
    explicit Resource(Kind kind) noexcept : kind_(kind) {}

private:
    Kind kind_;
};

using ResourcePtr = std::shared_ptr<const Resource>;

template <Kind K>
struct ResourceOf : Resource {
    static constexpr Kind kKind = K;
    ResourceOf() : Resource(K) {}
};

/// The resource as a T, or null when it is another kind.
template <class T>
[[nodiscard]] const T* as(const Resource& resource) noexcept {
    return resource.kind() == T::kKind ? static_cast<const T*>(&resource) : nullptr;
}
template <class T>
[[nodiscard]] std::shared_ptr<const T> as(const ResourcePtr& resource) noexcept {
    return resource && resource->kind() == T::kKind ? std::static_pointer_cast<const T>(resource) : nullptr;
}

}  // namespace manul::model
