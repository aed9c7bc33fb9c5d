#include "net/netlink/message.hpp"

#include <linux/netlink.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"

namespace manul::netlink {

std::string_view Attribute::text() const noexcept {
    const auto end = std::ranges::find(payload, std::uint8_t{0});
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the length is given
    return {reinterpret_cast<const char*>(payload.data()), static_cast<std::size_t>(end - payload.begin())};
}

std::optional<Attribute> find_attribute(ByteView attributes, std::uint16_t type) noexcept {
    AttributeWalk walk(attributes);
    while (const auto attribute = walk.next()) {
        if (attribute->type == type) {
            return attribute;
        }
    }
    return std::nullopt;
}

ByteView find_payload(ByteView attributes, std::uint16_t type) noexcept {
    const auto found = find_attribute(attributes, type);
    return found ? found->payload : ByteView{};
}

std::optional<MessageView> MessageWalk::next() noexcept {
    if (damaged_ || left_.empty()) {
        return std::nullopt;
    }
    const auto header = host_struct<nlmsghdr>(left_);
    if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > left_.size()) {
        damaged_ = true;
        return std::nullopt;
    }
    const std::size_t length = header->nlmsg_len;
    const MessageView found{header->nlmsg_type, header->nlmsg_flags, header->nlmsg_seq, header->nlmsg_pid,
                            left_.subspan(sizeof(nlmsghdr), length - sizeof(nlmsghdr))};
    left_ = left_.subspan(std::min(aligned(length), left_.size()));
    return found;
}

void RequestBuffer::start(std::uint16_t type, std::uint16_t flags) {
    message_ = data_.size();
    ++count_;
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    append(std::span(reinterpret_cast<const std::uint8_t*>(&header), sizeof header));
}

void RequestBuffer::end() noexcept {
    const auto length = static_cast<std::uint32_t>(data_.size() - message_);
    std::memcpy(data_.data() + message_ + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
}

void RequestBuffer::bytes(std::uint16_t type, ByteView payload) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()), type};
    append(std::span(reinterpret_cast<const std::uint8_t*>(&header), sizeof header));
    append(payload);
}

void RequestBuffer::text(std::uint16_t type, std::string_view value) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size() + 1), type};
    append(std::span(reinterpret_cast<const std::uint8_t*>(&header), sizeof header));
    data_.insert(data_.end(), value.begin(), value.end());
    data_.push_back(0);
    data_.resize(aligned(data_.size()));
}

RequestBuffer::Nest RequestBuffer::open(std::uint16_t type) {
    const Nest nest{data_.size()};
    bytes(static_cast<std::uint16_t>(type | NLA_F_NESTED), {});
    return nest;
}

void RequestBuffer::close(Nest nest) noexcept { patch_length(nest.at); }

void RequestBuffer::patch_length(std::size_t at) noexcept {
    const auto length = static_cast<std::uint16_t>(data_.size() - at);
    std::memcpy(data_.data() + at, &length, sizeof length);
}

void RequestBuffer::clear() noexcept {
    data_.clear();
    message_ = 0;
    count_ = 0;
}

// Every start is a multiple of four, so alignment of the end is alignment inside the message.
void RequestBuffer::append(ByteView payload) {
    data_.insert(data_.end(), payload.begin(), payload.end());
    data_.resize(aligned(data_.size()));
}

}  // namespace manul::netlink
