#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::wire {

/// How messages for a peer (or a group of peers) are written.
struct WriteContext {
    bool four_octet_as = true;
    std::size_t max_message = kMaxMessage;
    bool path_ids = false;  ///< encoded prefixes have path identifiers in front (RFC 7911)

    bool operator==(const WriteContext&) const = default;
};

/// Appends UPDATE messages to a buffer that the caller owns and reuses. Prefixes are packed until the message limit; a
/// further message repeats the attributes. IPv4 with an IPv4 next hop goes into the message body, everything else into
/// MP_REACH_NLRI, which stands first (RFC 7606 section 5.1). For a peer without 4-octet AS numbers the path and
/// aggregator are written twice, narrow and as AS4_* (RFC 6793).
///
///   writer.announce(family, next_hop, canonical); writer.add(prefix)...; writer.finish();
class UpdateWriter {
public:
    UpdateWriter(Bytes& out, const WriteContext& context) noexcept : out_(out), context_(context) {}

    /// Begins a run of announcements that share canonical attributes and next hop; the views must live until `finish`.
    void announce(net::Family family, const NextHop& next_hop, ByteView attributes);
    /// Begins a run of withdrawals.
    void withdraw(net::Family family);
    /// Adds a prefix of the run's family. False when the attributes leave no room for even one prefix in a message:
    /// then nothing was written and the route cannot be sent to this peer (RFC 4271 section 9.2: withdraw it instead).
    [[nodiscard]] bool add(const net::Prefix& prefix);
    /// The same for a prefix that is encoded already (length octet, then as few octets as hold it).
    [[nodiscard]] bool add(ByteView encoded);
    /// Several encoded prefixes, one behind the other, in one piece. False: the message at hand has no room for all of
    /// them, and nothing was written; add() takes them one by one.
    [[nodiscard]] bool add_together(ByteView encoded);
    /// Completes the message at hand, if any; ends the run.
    void finish();

    /// Messages completed so far.
    [[nodiscard]] std::uint32_t messages() const noexcept { return messages_; }

    /// One whole End-of-RIB (RFC 4724 section 2).
    void end_of_rib(net::Family family);

private:
    enum class Run : std::uint8_t { none, announce, withdraw };

    void begin_update();
    void end_update();
    [[nodiscard]] bool has_room(std::size_t size) const noexcept;
    void write_attributes();

    Bytes& out_;
    WriteContext context_;
    Run run_ = Run::none;
    net::Family family_ = net::Family::v4;
    bool in_body_ = false;  ///< the prefixes stand in the message body, not in an MP attribute
    NextHop next_hop_;
    ByteView attributes_;
    Bytes path_;             ///< attributes as written for this peer, for the current run
    std::size_t start_ = 0;  ///< of the message at hand
    bool open_ = false;
    std::uint32_t messages_ = 0;
    std::size_t attributes_at_ = 0;  ///< of the total path attribute length
    std::size_t mp_length_at_ = 0;   ///< of the MP attribute's length
};

/// Shorthands over the writer for callers that hold the prefixes in an array. False: see UpdateWriter::add.
[[nodiscard]] bool encode_announcement(Bytes& out, const WriteContext& context, const NextHop& next_hop,
                                       ByteView attributes, std::span<const net::Prefix> prefixes);
void encode_withdrawal(Bytes& out, const WriteContext& context, std::span<const net::Prefix> prefixes);

}  // namespace manul::bgp::wire
