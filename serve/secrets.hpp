#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "config/store/store.hpp"

/// Which Secrets leave the server with their values.
namespace manul::serve {

/// What the resource is called on which `reveal` gives the values of referenced Secrets alone.
inline constexpr const char* kReferencedSecrets = "secrets/referenced";

/// The Secrets of namespace manul-system that BGPPeers and BGPConfigurations have passwords in.
struct ReferencedSecrets {
    std::set<std::string, std::less<>> names;
    std::int64_t since = 0;  ///< revision: what is newer named no other Secrets
};

[[nodiscard]] store::StoreResult<ReferencedSecrets> read_referenced_secrets(store::Store& store);

/// What of Secrets one caller sees.
class SecretView {
public:
    /// No values.
    SecretView() = default;
    static SecretView everything() { return SecretView(true, nullptr); }
    /// Values of these, and the record of a change that waits to be confirmed, without the Secrets in it.
    static SecretView of(ReferencedSecrets referenced) {
        return {false, std::make_shared<const ReferencedSecrets>(std::move(referenced))};
    }

    [[nodiscard]] bool is_everything() const noexcept { return everything_; }
    /// Null unless the values of some alone are seen.
    [[nodiscard]] const ReferencedSecrets* referenced() const noexcept { return referenced_.get(); }
    /// A stored Secret as the caller sees it.
    [[nodiscard]] std::string shown(std::string_view document) const;

private:
    SecretView(bool everything, std::shared_ptr<const ReferencedSecrets> referenced)
        : everything_(everything), referenced_(std::move(referenced)) {}

    bool everything_ = false;
    std::shared_ptr<const ReferencedSecrets> referenced_;
};

}  // namespace manul::serve
