#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/strong_id.hpp"

namespace manul::bgp::rib {

/// Where a path came from: one number for each session, given when it is established and free again only when the last
/// path of that session has left the tables. 0 is this node itself.
using SourceId = Id<struct SourceTag, std::uint16_t>;
inline constexpr SourceId kLocalSource{0};

/// Encoded BGP messages for one peer or for a whole group of peers: immutable once shared. Parts of it can be for all
/// readers but one (split horizon: the peer that announced the route), or for one reader alone, so that one encoding
/// serves the group. Parts begin and end at message borders.
struct Chunk {
    enum class Audience : std::uint8_t { everybody, all_but, only };
    struct Part {
        std::uint32_t end;  ///< the part begins where the one before it ends
        Audience audience;
        SourceId peer;
        std::uint32_t messages = 0;
    };

    Bytes bytes;
    std::vector<Part> parts;     ///< empty: all bytes are for everybody
    std::uint32_t messages = 1;  ///< in all

    /// Appends what `reader` is to be sent, in order, neighbouring parts joined (mostly one or two spans).
    void append_spans(SourceId reader, std::vector<ByteView>& out) const;
    /// Number of bytes that `reader` is to be sent.
    [[nodiscard]] std::size_t size_for(SourceId reader) const noexcept;
    [[nodiscard]] std::uint32_t messages_for(SourceId reader) const noexcept;
};

using ChunkPtr = std::shared_ptr<const Chunk>;

}  // namespace manul::bgp::rib
