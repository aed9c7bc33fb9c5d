// Any UPDATE gives a verdict; what is accepted can be decoded, written for both kinds of peers, and reads the same
// again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/update.hpp"
#include "bgpd/wire/update_writer.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/scoped.hpp"

using namespace manul;
using namespace manul::bgp::wire;

namespace {

constexpr FamilySet kBoth = {net::Family::v4, net::Family::v6};

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void write_and_read(ByteView attributes, const NextHop& next_hop, const std::vector<net::Prefix>& prefixes,
                    bool four_octet_as) {
    const WriteContext context{four_octet_as, kMaxExtendedMessage};
    Bytes out;
    if (!encode_announcement(out, context, next_hop, attributes, prefixes)) {
        return;
    }
    UpdateDecoder decoder;
    Framer framer(out, kMaxExtendedMessage);
    const NextHop written{net::without_scope(next_hop.address), next_hop.link_local};
    std::vector<net::Prefix> read;
    for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
        const Update update = decoder.decode((*frame)->body(), {kBoth, four_octet_as, true});
        require(update.verdict == Verdict::ok);
        require(std::ranges::equal(update.attributes, attributes));
        update.each_announced([&](const net::Prefix& prefix, const NextHop& via) {
            read.push_back(prefix);
            require(via == written);
        });
    }
    require(read == prefixes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > kMaxExtendedMessage) {
        return 0;
    }
    UpdateDecoder decoder;
    const UpdateContext context{.families = kBoth,
                                .four_octet_as = (data[0] & 1U) != 0,
                                .internal = (data[0] & 2U) != 0,
                                .needs_local_pref = (data[0] & 2U) != 0};
    const Update update = decoder.decode(ByteView(data + 1, size - 1), context);
    if (update.verdict == Verdict::reset) {
        static_cast<void>(update.fault.notification().to_string());
        return 0;
    }
    update.each_withdrawn([](const net::Prefix& prefix) { require(prefix.length() <= 128); });
    static_cast<void>(attribute_facts(update.attributes));

    Bytes again;
    if (!update.attributes.empty()) {
        encode_attributes(decode_attributes(update.attributes), again);
        const auto all = AttributeRange(update.attributes);
        if (all.find(attribute_type::kOrigin) && all.find(attribute_type::kAsPath)) {
            require(std::ranges::equal(again, update.attributes));
        }
    }
    for (const bool mp : {false, true}) {
        const NlriView& view = mp ? update.mp_announced : update.announced;
        const NextHop& next_hop = mp ? update.mp_next_hop : update.next_hop;
        const std::vector<net::Prefix> prefixes(view.begin(), view.end());
        if (update.verdict < Verdict::treat_as_withdraw && !prefixes.empty()) {
            write_and_read(update.attributes, next_hop, prefixes, true);
            if (!attribute_facts(update.attributes).as_path.has_set()) {  // which nobody is told of (RFC 9774)
                write_and_read(update.attributes, next_hop, prefixes, false);
            }
        }
    }
    return 0;
}
