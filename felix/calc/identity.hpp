#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// What an object is to policy: its labels, the profiles it inherits labels from, and the addresses and named ports it
/// stands for.
namespace manul::felix {

struct NamedPort {
    std::string name;
    net::Protocol protocol = net::kTcp;
    std::uint16_t port = 0;

    auto operator<=>(const NamedPort&) const = default;
};

/// What an object adds to the address sets whose selectors match it.
struct Contribution {
    std::vector<net::Prefix> nets;  ///< sorted, each once; one of length 0 as its two halves
    std::vector<NamedPort> ports;   ///< of every single address in `nets`; sorted, each once

    bool operator==(const Contribution&) const = default;
};

struct Identity {
    model::StringMap labels;
    std::vector<std::string> parents;  ///< names of profiles, in order
    Contribution contribution;

    bool operator==(const Identity&) const = default;
};

/// An EndpointSlice stands for the addresses and ports (without names) of its endpoints, ready or not.
/// Nothing for kinds that policy does not select, and for workloads without an address (not set up yet, or finished).
///
/// Labels that tell where an object belongs (namespace, orchestrator, service account) are set from its fields, and a
/// workload or NetworkSet cannot bring labels with the prefixes of inherited ones: whoever may write an object in a
/// namespace must not be able to pose as another namespace or account.
[[nodiscard]] std::optional<Identity> identity(const model::Resource& resource);

/// The label by which selectors of services find their slices, with value `namespace/name`. Slices are never looked at
/// by other selectors.
inline constexpr const char* kServiceLabel = "service";
[[nodiscard]] std::string service_key(const std::string& ns, const std::string& name);

// Profiles that exist without being stored: one for each namespace and one for each service account.
[[nodiscard]] std::string namespace_profile(const std::string& ns);
[[nodiscard]] std::string account_profile(const std::string& ns, const std::string& account);

struct DerivedProfile {
    std::string ns;
    std::optional<std::string> account;  ///< absent: the namespace's own
};
/// What a name like `kns.NAMESPACE` or `ksa.NAMESPACE.ACCOUNT` refers to.
[[nodiscard]] std::optional<DerivedProfile> derived_profile(const std::string& profile);

/// Labels inherited from a namespace or service account with these labels of its own.
[[nodiscard]] model::StringMap namespace_labels(const std::string& ns, const model::StringMap& own);
[[nodiscard]] model::StringMap account_labels(const std::string& account, const model::StringMap& own);

}  // namespace manul::felix
