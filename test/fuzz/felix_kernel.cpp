// Any answer of nf_tables can be taken in: what is damaged, or not about our tables, is passed over.

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "felix/nft/compare.hpp"
#include "felix/nft/import.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/verify.hpp"
#include "felix/render/ruleset.hpp"
#include "net/netlink/message.hpp"

using namespace manul;
using namespace manul::felix;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    nft::KernelState state;
    nft::KernelContents contents;
    render::Members members;
    netlink::MessageWalk walk(ByteView(data, size));
    while (const auto message = walk.next()) {
        (void)nft::decode_table(*message);
        (void)nft::decode_orphan(*message);
        (void)nft::decode_generation(*message);
        (void)nft::decode_notice(*message);
        (void)nft::decode_counter(*message);
        nft::decode_members(*message, members);
        nft::decode_object(*message, state);
        nft::decode_content(*message, contents);
    }
    (void)nft::class_groups(state);
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        (void)nft::match_expressions(family, {{}, {render::accept()}}, ByteView(data, size));
    }
    (void)nft::verify({}, contents);
    return 0;
}
