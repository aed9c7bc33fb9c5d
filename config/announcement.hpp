#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a node's manul-ipamd says to its manul-felix about endpoints that it is about to commit: felix programs them
/// while the disk is waited for. One datagram for a transaction, to a socket that felix has in the run directory. It is
/// a hint and nothing more: when it is lost, or not believed, felix learns of the endpoint from the datastore as of
/// everything else.
namespace manul::config {

/// Version 1 is text: a line "expected 1 REVISION" or "withdrawn 1 REVISION", then a line for each endpoint,
/// "NAMESPACE/NAME", followed by a space and its document where it is expected.
struct Announcement {
    enum class Kind : std::uint8_t {
        expected,   ///< the transaction of `revision` will have these endpoints, none of which was there before
        withdrawn,  ///< it was not committed
    };
    struct Endpoint {
        std::string ns;
        std::string name;
        std::shared_ptr<const std::string> document;  ///< as a watch will deliver it; null when withdrawn

        bool operator==(const Endpoint& other) const {
            return ns == other.ns && name == other.name && !document == !other.document &&
                   (!document || *document == *other.document);
        }
    };

    Kind kind = Kind::expected;
    std::string revision;
    std::vector<Endpoint> endpoints;

    bool operator==(const Announcement&) const = default;
};

/// More would be no datagram by the kernel's defaults.
inline constexpr std::size_t kMaxAnnouncement = 128 << 10;

/// Nothing when it cannot be said: larger than kMaxAnnouncement, or a line break in a document.
[[nodiscard]] std::optional<std::string> encode(const Announcement& announcement);
/// Nothing when it is no announcement of this version.
[[nodiscard]] std::optional<Announcement> decode_announcement(std::string_view text);

[[nodiscard]] std::string announcement_socket(const std::string& run_dir);

}  // namespace manul::config
