#include "config/own_node.hpp"

#include <ifaddrs.h>
#include <net/if.h>  // NOLINT(misc-include-cleaner): IFF_UP
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/address_detection.hpp"
#include "config/model/kind.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::config {

namespace json = boost::json;
using store::StoreError;
using store::StoreResult;

namespace {

std::string reason() { return std::error_code(errno, std::generic_category()).message(); }

/// The bytes of an address in a socket address of the kernel's; nothing for other families.
std::optional<net::Ip> address_of(const sockaddr* socket_address) {
    if (socket_address == nullptr) {
        return std::nullopt;
    }
    if (socket_address->sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, socket_address, sizeof(in));
        return net::Ip4(ntohl(in.sin_addr.s_addr));
    }
    if (socket_address->sa_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, socket_address, sizeof(in));
        return net::Ip::from_bytes(std::span(std::data(in.sin6_addr.s6_addr), sizeof(in.sin6_addr.s6_addr)));
    }
    return std::nullopt;
}

std::uint8_t mask_length(const net::Ip& mask) {
    int bits = 0;
    for (const std::uint8_t byte : mask.bytes()) {
        bits += std::popcount(byte);
    }
    return static_cast<std::uint8_t>(bits);
}

/// What the kernel would write into a packet to the target. Connecting a datagram socket sends nothing.
std::optional<net::Ip> source_address(const net::Ip& target) {
    sockaddr_storage to{};
    socklen_t length = 0;
    if (target.is_v4()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(9);
        in.sin_addr.s_addr = htonl(target.v4().value());
        std::memcpy(&to, &in, length = sizeof(in));
    } else {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(9);
        std::ranges::copy(target.bytes(), std::data(in.sin6_addr.s6_addr));
        std::memcpy(&to, &in, length = sizeof(in));
    }
    const int fd = ::socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    std::optional<net::Ip> found;
    sockaddr_storage own{};
    socklen_t own_length = sizeof(own);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&to), length) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_length) == 0) {
        found = address_of(reinterpret_cast<const sockaddr*>(&own));
    }
    if (fd >= 0) {
        ::close(fd);
    }
    return found;
}

/// Whether neither people nor a daemon said anything about BGP on this node yet.
bool is_untouched(const json::object& node) {
    const json::value* metadata = node.if_contains("metadata");
    const json::value* annotations =
        metadata != nullptr && metadata->is_object() ? metadata->get_object().if_contains("annotations") : nullptr;
    const bool marked = annotations != nullptr && annotations->is_object() &&
                        annotations->get_object().contains(kAddressSourceAnnotation);
    const json::value* spec = node.if_contains("spec");
    return !marked && !(spec != nullptr && spec->is_object() && spec->get_object().contains("bgp"));
}

/// `node` with what `wanted` says about BGP.
std::string completed(json::object node, const json::object& wanted) {
    for (const char* part : {"metadata", "spec"}) {
        if (!node[part].is_object()) {
            node[part].emplace_object();
        }
    }
    if (const json::value* given = wanted.at("metadata").get_object().if_contains("annotations")) {
        json::value& annotations = node["metadata"].get_object()["annotations"];
        if (!annotations.is_object()) {
            annotations.emplace_object();
        }
        for (const auto& annotation : given->get_object()) {
            annotations.get_object()[annotation.key()] = annotation.value();
        }
    }
    if (const json::value* bgp = wanted.at("spec").get_object().if_contains("bgp")) {
        node["spec"].get_object()["bgp"] = *bgp;
    }
    return json::serialize(node);
}

/// A Node that somebody else made (the kubelet) gets what it would have been created with.
StoreResult<store::Object> complete(store::Store& store, store::Object found, const std::string& wanted) {
    constexpr int kAttempts = 5;  // against the kubelet and the other daemons of this node
    for (int attempt = 1;; ++attempt) {
        boost::system::error_code failed;
        const json::value node = json::parse(*found.document, failed);
        if (failed || !node.is_object() || !is_untouched(node.get_object())) {
            return found;
        }
        auto updated =
            store.update(found.key, completed(node.get_object(), json::parse(wanted).get_object()), found.revision);
        if (updated || updated.error().code != StoreError::Code::conflict || attempt == kAttempts) {
            return updated;
        }
        MANUL_TRY(found, store.get(found.key));
    }
}

}  // namespace

Result<std::vector<HostInterface>> read_host_interfaces() {
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) {
        return fail("reading the network interfaces: " + reason());
    }
    const std::unique_ptr<ifaddrs, decltype([](ifaddrs* list) { ::freeifaddrs(list); })> list(first);
    std::vector<HostInterface> interfaces;
    for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
        auto interface = std::ranges::find(interfaces, entry->ifa_name, &HostInterface::name);
        if (interface == interfaces.end()) {
            // The list begins with one entry per link, in the order of their index.
            interface = interfaces.insert(interface, HostInterface{entry->ifa_name, false, {}});
        }
        interface->up = (entry->ifa_flags & static_cast<unsigned>(IFF_UP)) != 0;
        const auto address = address_of(entry->ifa_addr);
        const auto mask = address_of(entry->ifa_netmask);
        if (address && mask) {
            interface->addresses.push_back({*address, mask_length(*mask)});
        }
    }
    return interfaces;
}

Result<NodeAddresses> detect_node_addresses(const Settings& settings) {
    MANUL_TRY(const std::vector<HostInterface> interfaces, read_host_interfaces());
    return NodeAddresses{
        detect_address(settings.detection_v4, net::Family::v4, interfaces, source_address),
        detect_address(settings.detection_v6, net::Family::v6, interfaces, source_address),
    };
}

std::string own_node_document(const std::string& node_name, const NodeAddresses& addresses, bool detected) {
    json::object metadata{{"name", node_name}};
    json::object spec;
    json::object bgp;
    json::array list;
    const auto add = [&](const std::optional<net::InterfaceAddress>& address, const char* field) {
        if (address) {
            bgp[field] = address->to_string();
            list.push_back(json::object{{"address", address->to_string()}, {"type", "CalicoNodeIP"}});
        }
    };
    add(addresses.ipv4, "ipv4Address");
    add(addresses.ipv6, "ipv6Address");
    if (detected) {
        metadata["annotations"] = json::object{{kAddressSourceAnnotation, kAddressSourceDetected}};
    }
    if (!bgp.empty()) {  // an empty `bgp` is invalid: absent means no BGP
        spec["addresses"] = std::move(list);
        spec["bgp"] = std::move(bgp);
    }
    return json::serialize(json::object{{"apiVersion", model::api_version(model::Kind::node)},
                                        {"kind", model::info(model::Kind::node).name},
                                        {"metadata", std::move(metadata)},
                                        {"spec", std::move(spec)}});
}

StoreResult<store::Object> ensure_own_node(store::Store& store, const Settings& settings) {
    const model::Key key{model::Kind::node, {}, settings.node_name};
    auto found = store.get(key);
    if (!found && found.error().code != StoreError::Code::not_found) {
        return found;
    }
    if (found && store.transactional()) {
        return found;
    }
    if (!found && !store.transactional()) {
        return std::unexpected(StoreError{
            StoreError::Code::not_found,
            "Kubernetes has no Node \"" + settings.node_name + "\": its kubelet makes it, under the name in node.name",
            {}});
    }
    const auto addresses = detect_node_addresses(settings);
    if (!addresses) {
        return std::unexpected(StoreError{StoreError::Code::unavailable, addresses.error().message, {}});
    }
    const bool detected = settings.detection_v4.method != AddressDetection::Method::none ||
                          settings.detection_v6.method != AddressDetection::Method::none;
    if (found) {
        return complete(store, *std::move(found), own_node_document(settings.node_name, *addresses, detected));
    }
    auto created = store.create(key, own_node_document(settings.node_name, *addresses, detected));
    if (!created && created.error().code == StoreError::Code::already_exists) {
        return store.get(key);  // another daemon of this node was faster
    }
    return created;
}

}  // namespace manul::config
