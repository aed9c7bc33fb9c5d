#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "base/bytes.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::wire {

/// A validated run of prefixes inside a message: length in bits, then as few octets as hold them (RFC 4271
/// section 4.3). Made by `check` only, so iterating needs no error path. Valid as long as the message is.
class NlriView {
public:
    class Iterator {
    public:
        using value_type = net::Prefix;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using pointer = void;
        using reference = net::Prefix;

        constexpr Iterator() noexcept = default;
        constexpr Iterator(const std::uint8_t* at, net::Family family, std::size_t before) noexcept
            : at_(at), before_(before), family_(family) {}

        /// Host bits that the sender left set are cleared (RFC 4271: their value is irrelevant).
        [[nodiscard]] net::Prefix operator*() const noexcept;
        /// RFC 7911; 0 where prefixes have none.
        [[nodiscard]] std::uint32_t path_id() const noexcept;
        /// Length octet and address octets.
        [[nodiscard]] const std::uint8_t* encoded() const noexcept { return at_ + before_; }
        Iterator& operator++() noexcept {
            at_ += before_ + 1 + (std::size_t{at_[before_]} + 7) / 8;
            return *this;
        }
        Iterator operator++(int) noexcept {
            const Iterator before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator& other) const noexcept { return at_ == other.at_; }

    private:
        const std::uint8_t* at_ = nullptr;
        std::size_t before_ = 0;  ///< octets of the path identifier
        net::Family family_ = net::Family::v4;
    };

    constexpr NlriView() noexcept = default;

    /// Nothing is wrong when `valid`; otherwise a length is impossible for the family or octets are missing.
    /// With `path_ids` each prefix has a path identifier of four octets in front (RFC 7911).
    [[nodiscard]] static bool check(ByteView bytes, net::Family family, NlriView& out, bool path_ids = false) noexcept;

    [[nodiscard]] Iterator begin() const noexcept { return {bytes_.data(), family_, before_}; }
    [[nodiscard]] Iterator end() const noexcept { return {bytes_.data() + bytes_.size(), family_, before_}; }
    /// Calls `f(path id, NlriView)` for each run of prefixes that have one path identifier.
    template <class F>
    void each_run(F&& f) const {
        if (before_ == 0) {
            if (!bytes_.empty()) {
                f(std::uint32_t{0}, *this);
            }
            return;
        }
        for (Iterator at = begin(); at != end();) {
            const std::uint32_t id = at.path_id();
            const Iterator first = at;
            std::size_t count = 0;
            for (; at != end() && at.path_id() == id; ++at) {
                ++count;
            }
            const auto from = static_cast<std::size_t>(first.encoded() - before_ - bytes_.data());
            const auto size = static_cast<std::size_t>(at.encoded() - first.encoded());
            NlriView run = *this;
            run.bytes_ = bytes_.subspan(from, size);
            run.count_ = count;
            f(id, run);
        }
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }  ///< number of prefixes
    [[nodiscard]] constexpr net::Family family() const noexcept { return family_; }
    [[nodiscard]] constexpr ByteView bytes() const noexcept { return bytes_; }

private:
    ByteView bytes_;
    std::size_t count_ = 0;
    std::size_t before_ = 0;  ///< octets in front of each prefix
    net::Family family_ = net::Family::v4;
};

/// Octets of the encoded prefix: 1 and what its length needs.
[[nodiscard]] constexpr std::size_t encoded_size(const net::Prefix& prefix) noexcept {
    return 1 + (std::size_t{prefix.length()} + 7) / 8;
}
void encode_prefix(const net::Prefix& prefix, Bytes& out);

}  // namespace manul::bgp::wire
