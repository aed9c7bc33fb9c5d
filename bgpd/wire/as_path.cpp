#include "bgpd/wire/as_path.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "net/asn.hpp"

// AS_PATH is a run of segments: type, number of AS numbers, the numbers (RFC 4271 section 4.3 b).

namespace manul::bgp::wire {
namespace {

constexpr std::size_t kMaxSegment = 255;

struct Segment {
    SegmentType type = SegmentType::sequence;
    ByteView numbers;
    std::size_t as_size = 4;

    [[nodiscard]] std::size_t count() const { return as_size == 4 ? numbers.size() / 4 : numbers.size() / 2; }
    [[nodiscard]] bool is_set() const { return type == SegmentType::set; }
    /// What it adds to the path length of the decision process.
    [[nodiscard]] std::uint32_t weight() const {
        return type == SegmentType::sequence ? static_cast<std::uint32_t>(count()) : is_set() ? 1 : 0;
    }
    [[nodiscard]] std::uint32_t at(std::size_t index) const {
        const std::uint8_t* const from = numbers.data() + index * as_size;
        const std::uint32_t high = std::uint32_t{from[0]} << 8U | from[1];
        return as_size == 2 ? high : high << 16U | std::uint32_t{from[2]} << 8U | from[3];
    }
};

/// Takes segments off a validated path.
class Segments {
public:
    Segments(ByteView path, std::size_t as_size) : rest_(path), as_size_(as_size) {}
    bool next(Segment& out) {
        if (rest_.empty()) {
            return false;
        }
        const std::size_t size = rest_[1] * as_size_;
        out = {static_cast<SegmentType>(rest_[0]), rest_.subspan(2, size), as_size_};
        rest_ = rest_.subspan(2 + size);
        return true;
    }

private:
    ByteView rest_;
    std::size_t as_size_;
};

std::uint32_t path_length(ByteView path, std::size_t as_size) {
    std::uint32_t length = 0;
    Segments segments(path, as_size);
    for (Segment segment; segments.next(segment);) {
        length += segment.weight();
    }
    return length;
}

void write_segment_head(SegmentType type, std::size_t count, Bytes& out) {
    out.push_back(static_cast<std::uint8_t>(type));
    out.push_back(static_cast<std::uint8_t>(count));
}

}  // namespace

std::uint32_t AsPathView::length() const noexcept { return path_length(bytes_, 4); }

std::uint32_t AsPathView::count(net::Asn as) const noexcept {
    std::uint32_t found = 0;
    Segments segments(bytes_, 4);
    for (Segment segment; segments.next(segment);) {
        for (std::size_t i = 0; i < segment.count(); ++i) {
            found += segment.at(i) == as.number() ? 1U : 0U;
        }
    }
    return found;
}

std::optional<net::Asn> AsPathView::first() const noexcept {
    Segment segment;
    if (!Segments(bytes_, 4).next(segment) || segment.type != SegmentType::sequence) {
        return std::nullopt;
    }
    return net::Asn::make(segment.at(0));
}

bool AsPathView::has_set() const noexcept {
    Segments segments(bytes_, 4);
    for (Segment segment; segments.next(segment);) {
        if (segment.type != SegmentType::sequence) {
            return true;
        }
    }
    return false;
}

std::vector<std::uint32_t> AsPathView::numbers() const {
    std::vector<std::uint32_t> all;
    Segments segments(bytes_, 4);
    for (Segment segment; segments.next(segment);) {
        for (std::size_t i = 0; i < segment.count(); ++i) {
            all.push_back(segment.at(i));
        }
    }
    return all;
}

std::string AsPathView::to_string() const {
    std::string text;
    Segments segments(bytes_, 4);
    for (Segment segment; segments.next(segment);) {
        text += text.empty() ? "" : " ";
        text += segment.is_set() ? "{" : "";
        for (std::size_t i = 0; i < segment.count(); ++i) {
            text += i == 0 ? "" : " ";
            text += std::to_string(segment.at(i));
        }
        text += segment.is_set() ? "}" : "";
    }
    return text;
}

void prepend_as(AsPathView path, net::Asn as, std::size_t times, Bytes& out) {
    Segment first;
    const bool sequence = Segments(path.bytes(), 4).next(first) && first.type == SegmentType::sequence;
    // Numbers go into the leading sequence while it has room; what does not fit makes full segments before it.
    const std::size_t room = sequence ? kMaxSegment - first.count() : 0;
    std::size_t before = times > room ? times - room : 0;
    ByteWriter writer(out);
    while (before > 0) {
        const std::size_t part = std::min(before, kMaxSegment);
        write_segment_head(SegmentType::sequence, part, out);
        for (std::size_t i = 0; i < part; ++i) {
            writer.u32(as.number());
        }
        before -= part;
    }
    if (!sequence) {
        writer.bytes(path.bytes());
        return;
    }
    const std::size_t added = std::min(times, room);
    write_segment_head(SegmentType::sequence, first.count() + added, out);
    for (std::size_t i = 0; i < added; ++i) {
        writer.u32(as.number());
    }
    writer.bytes(path.bytes().subspan(2));
}

bool valid_as_path(ByteView bytes, std::size_t as_size, Confederations confederations) noexcept {
    const auto last_type = static_cast<std::uint8_t>(confederations == Confederations::allowed ? SegmentType::confed_set
                                                                                               : SegmentType::sequence);
    while (!bytes.empty()) {
        if (bytes.size() < 2 || bytes[1] == 0 || bytes[0] == 0 || bytes[0] > last_type ||
            bytes.size() < 2 + bytes[1] * as_size) {
            return false;
        }
        const Segment segment{static_cast<SegmentType>(bytes[0]), bytes.subspan(2, bytes[1] * as_size), as_size};
        for (std::size_t i = 0; i < segment.count(); ++i) {
            if (segment.at(i) == 0) {
                return false;
            }
        }
        bytes = bytes.subspan(2 + segment.numbers.size());
    }
    return true;
}

bool has_any_set(ByteView as4_path) noexcept {
    Segments segments(as4_path, 4);
    for (Segment segment; segments.next(segment);) {
        if (segment.is_set() || segment.type == SegmentType::confed_set) {
            return true;
        }
    }
    return false;
}

namespace {

/// Sequences and sets of a validated path.
Bytes without_confederations(ByteView path) {
    Bytes kept;
    Segments segments(path, 4);
    for (Segment segment; segments.next(segment);) {
        if (segment.type == SegmentType::sequence || segment.is_set()) {
            write_segment_head(segment.type, segment.count(), kept);
            kept.insert(kept.end(), segment.numbers.begin(), segment.numbers.end());
        }
    }
    return kept;
}

}  // namespace

void widen_as_path(ByteView two_octet, ByteView as4_path, Bytes& out) {
    const Bytes plain = without_confederations(as4_path);
    as4_path = plain;
    const std::uint32_t length = path_length(two_octet, 2);
    const std::uint32_t length4 = path_length(as4_path, 4);
    if (length4 > length) {
        as4_path = {};
    }
    ByteWriter writer(out);
    std::uint32_t missing = as4_path.empty() ? length : length - length4;
    std::optional<std::size_t> last_sequence;  // where the last segment written starts, if it is a sequence
    Segments segments(two_octet, 2);
    for (Segment segment; missing > 0 && segments.next(segment);) {
        const std::size_t taken = segment.is_set() ? segment.count() : std::min<std::size_t>(segment.count(), missing);
        last_sequence = segment.is_set() ? std::nullopt : std::optional(out.size());
        write_segment_head(segment.type, taken, out);
        for (std::size_t i = 0; i < taken; ++i) {
            writer.u32(segment.at(i));
        }
        missing -= segment.is_set() ? 1 : static_cast<std::uint32_t>(taken);
    }
    // The two parts were one sequence before the peer split them: join them again, so that equal paths are equal bytes.
    if (Segment next; last_sequence && Segments(as4_path, 4).next(next) && next.type == SegmentType::sequence &&
                      out[*last_sequence + 1] + next.count() <= kMaxSegment) {
        out[*last_sequence + 1] = static_cast<std::uint8_t>(out[*last_sequence + 1] + next.count());
        as4_path = as4_path.subspan(2);
    }
    writer.bytes(as4_path);
}

bool narrow_as_path(AsPathView path, Bytes& out) {
    bool lossy = false;
    ByteWriter writer(out);
    Segments segments(path.bytes(), 4);
    for (Segment segment; segments.next(segment);) {
        write_segment_head(segment.type, segment.count(), out);
        for (std::size_t i = 0; i < segment.count(); ++i) {
            const std::uint32_t as = segment.at(i);
            lossy = lossy || as > 0xffff;
            writer.u16(as > 0xffff ? kAsTrans : static_cast<std::uint16_t>(as));
        }
    }
    return lossy;
}

}  // namespace manul::bgp::wire
