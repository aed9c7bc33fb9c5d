#include "bgpd/wire/nlri.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::wire {

net::Prefix NlriView::Iterator::operator*() const noexcept {
    const std::uint8_t length = *encoded();
    const std::size_t octets = (std::size_t{length} + 7) / 8;
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), encoded() + 1, octets);
    const net::Ip address = family_ == net::Family::v4 ? net::Ip(net::Ip4(bytes[0], bytes[1], bytes[2], bytes[3]))
                                                       : net::Ip(net::Ip6(bytes));
    return *net::Prefix::masked(address, length);
}

std::uint32_t NlriView::Iterator::path_id() const noexcept {
    return before_ == 0
               ? 0
               : std::uint32_t{at_[0]} << 24U | std::uint32_t{at_[1]} << 16U | std::uint32_t{at_[2]} << 8U | at_[3];
}

bool NlriView::check(ByteView bytes, net::Family family, NlriView& out, bool path_ids) noexcept {
    constexpr std::size_t kPathIdSize = 4;
    const std::uint8_t longest = net::address_bits(family);
    std::size_t count = 0;
    for (std::size_t at = 0; at < bytes.size(); ++count) {
        at += path_ids ? kPathIdSize : 0;
        if (at >= bytes.size() || bytes[at] > longest) {
            return false;
        }
        at += 1 + (std::size_t{bytes[at]} + 7) / 8;
        if (at > bytes.size()) {
            return false;
        }
    }
    out.bytes_ = bytes;
    out.count_ = count;
    out.before_ = path_ids ? kPathIdSize : 0;
    out.family_ = family;
    return true;
}

void encode_prefix(const net::Prefix& prefix, Bytes& out) {
    out.push_back(prefix.length());
    const net::Ip address = prefix.address();
    const auto bytes = address.bytes().first(encoded_size(prefix) - 1);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace manul::bgp::wire
