#include "bgpd/rib/chunk.hpp"

namespace manul::bgp::rib {

namespace {

bool is_for(const Chunk::Part& part, SourceId reader) noexcept {
    switch (part.audience) {
        case Chunk::Audience::everybody:
            return true;
        case Chunk::Audience::all_but:
            return part.peer != reader;
        case Chunk::Audience::only:
            return part.peer == reader;
    }
    return false;
}

}  // namespace

void Chunk::append_spans(SourceId reader, std::vector<ByteView>& out) const {
    const ByteView all = bytes;
    if (parts.empty()) {
        if (!all.empty()) {
            out.push_back(all);
        }
        return;
    }
    std::uint32_t begin = 0;     // of the span being joined
    std::uint32_t position = 0;  // of the part looked at
    bool open = false;
    for (const Part& part : parts) {
        const bool wanted = is_for(part, reader);
        if (wanted && !open) {
            begin = position;
        } else if (!wanted && open) {
            out.push_back(all.subspan(begin, position - begin));
        }
        open = wanted;
        position = part.end;
    }
    if (open) {
        out.push_back(all.subspan(begin, position - begin));
    }
}

std::size_t Chunk::size_for(SourceId reader) const noexcept {
    if (parts.empty()) {
        return bytes.size();
    }
    std::size_t total = 0;
    std::uint32_t begin = 0;
    for (const Part& part : parts) {
        total += is_for(part, reader) ? part.end - begin : 0U;
        begin = part.end;
    }
    return total;
}

std::uint32_t Chunk::messages_for(SourceId reader) const noexcept {
    if (parts.empty()) {
        return messages;
    }
    std::uint32_t total = 0;
    for (const Part& part : parts) {
        total += is_for(part, reader) ? part.messages : 0U;
    }
    return total;
}

}  // namespace manul::bgp::rib
