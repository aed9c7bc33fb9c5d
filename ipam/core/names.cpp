#include "ipam/core/names.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/ascii.hpp"
#include "base/sha1.hpp"

namespace manul::ipam {

namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kHashDigits = 8;

bool is_name_character(char c) noexcept { return ascii::is_lower(c) || ascii::is_digit(c) || c == '-'; }

/// One part of a DNS subdomain.
bool is_name_part(std::string_view part) noexcept {
    return !part.empty() && part.front() != '-' && part.back() != '-' && std::ranges::all_of(part, is_name_character);
}

std::string shortened(std::string name) {
    if (name.size() <= kMaxName) {
        return name;
    }
    const std::string hash = sha1_hex(name, kHashDigits);
    name.resize(kMaxName - kHashDigits - 1);
    return name + "-" + hash;
}

std::string lower_id(const std::string& original) {
    std::string id = ascii::lowered(original);
    if (id != original) {
        id += "-" + sha1_hex(original, kHashDigits);
    }
    return id;
}

}  // namespace

std::string block_name(const net::Prefix& cidr) {
    std::string name = cidr.to_string();
    std::ranges::replace_if(name, [](char c) { return c == '.' || c == ':' || c == '/'; }, '-');
    return name;
}

std::string affinity_prefix(std::string_view node) {
    std::string prefix(node);
    std::ranges::replace(prefix, ':', '-');  // of an owner that is no node
    return prefix + "-";
}

std::string affinity_name(std::string_view node, const net::Prefix& cidr) {
    return shortened(affinity_prefix(node) + block_name(cidr));
}

std::string handle_name(std::string_view id) {
    std::string name;
    for (;;) {
        const std::size_t dot = id.find('.');
        const std::string_view part = id.substr(0, dot);
        name += is_name_part(part) ? std::string(part) : sha1_hex(part);
        if (dot == std::string_view::npos) {
            return shortened(std::move(name));
        }
        name += '.';
        id.remove_prefix(dot + 1);
    }
}

std::string handle_id(std::string_view network, const Attachment& attachment) {
    return lower_id(std::string(network) + "." + attachment.container_id + "." + attachment.ifname);
}

std::string calico_handle_id(std::string_view network, std::string_view container_id) {
    return ascii::lowered(std::string(network) + "." + std::string(container_id));
}

std::string profile_name(std::string_view network) {
    std::string_view rest = network;
    for (;;) {
        const std::size_t dot = rest.find('.');
        if (!is_name_part(rest.substr(0, dot))) {
            return sha1_hex(network);
        }
        if (dot == std::string_view::npos) {
            return network.size() <= kMaxName ? std::string(network) : sha1_hex(network);
        }
        rest.remove_prefix(dot + 1);
    }
}

}  // namespace manul::ipam
